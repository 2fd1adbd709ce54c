/** What both sides hold before the first row: containers in every state, a network, volumes, images. */
import type { Server } from '../../harness/server.ts'

/** Writes past the page cache once: else it is chance whether the statistics of its disks hold anything. */
const RUNNING = [
  'sh',
  '-c',
  `trap "exit 0" TERM; mkdir -p /made/deep
  dd if=/dev/zero of=/made/file bs=4096 count=1 oflag=direct status=none
  echo hi >/made/file; ln -s /made/file /made/link; while :; do sleep 1; done`,
]
const TALK = ['sh', '-c', 'echo one; echo two >&2; echo three']

const CONTAINERS: Readonly<Record<string, object>> = {
  run: {
    Cmd: RUNNING,
    Env: ['A=b'],
    Labels: { role: 'web', empty: '' },
    ExposedPorts: { '80/tcp': {} },
    HostConfig: {
      PortBindings: { '80/tcp': [{ HostPort: '18080' }] },
      Binds: ['vol:/vol', 'ro:/ro:ro'],
      Annotations: { note: 'x' },
    },
  },
  tty: { Cmd: ['cat'], Tty: true, OpenStdin: true },
  healthy: {
    Cmd: ['sleep', '600'],
    Healthcheck: { Test: ['CMD', 'true'], Interval: 1e9, Timeout: 1e9, StartPeriod: 1e9, Retries: 2 },
  },
  done: { Cmd: ['sh', '-c', 'echo bye; exit 3'] },
  talk: {
    Cmd: TALK,
    Labels: { who: 'me' },
    HostConfig: {
      LogConfig: { Type: 'json-file', Config: { labels: 'who', 'max-size': '1m', 'max-file': '2' } },
    },
  },
  local: { Cmd: TALK, HostConfig: { LogConfig: { Type: 'local', Config: {} } } },
  mute: { Cmd: TALK, HostConfig: { LogConfig: { Type: 'none', Config: {} } } },
  fresh: { Cmd: ['true'] },
  bare: { Cmd: ['sleep', '600'], HostConfig: { NetworkMode: 'none', ReadonlyRootfs: true } },
  meshed: {
    Cmd: ['sleep', '600'],
    HostConfig: { NetworkMode: 'mesh', RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } },
    NetworkingConfig: { EndpointsConfig: { mesh: { Aliases: ['alias'] } } },
  },
}

/** All but this one are started. */
const NOT_STARTED = new Set(['fresh'])
const ENDING = ['done', 'talk', 'local', 'mute']

export async function furnish(server: Server): Promise<void> {
  await server.docker('pull', '--quiet', '127.0.0.1:5000/busybox')
  await server.docker('tag', '127.0.0.1:5000/busybox', 'busybox')
  await server.docker('pull', '--quiet', '127.0.0.1:5000/configured')
  await must(server, '/networks/create', {
    Name: 'mesh',
    Labels: { a: 'b' },
    IPAM: { Config: [{ Subnet: '10.77.0.0/24' }] },
  })
  await must(server, '/volumes/create', { Name: 'vol', Labels: { a: 'b' } })
  await must(server, '/volumes/create', { Name: 'ro' })
  for (const [name, config] of Object.entries(CONTAINERS)) {
    await must(server, `/containers/create?name=${name}`, { Image: 'busybox', ...config })
    if (!NOT_STARTED.has(name)) await must(server, `/containers/${name}/start`)
  }
  for (const name of ENDING) await must(server, `/containers/${name}/wait`)
}

async function must(server: Server, path: string, body?: object): Promise<void> {
  const { status, text } = await server.api('POST', path, body)
  if (status >= 300) throw new Error(`furnishing: ${path}: ${status} ${text}`)
}
