/** Programs that drive containers through their standard input: what GitLab's runner and VS Code's Dev Containers do. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Socket } from 'node:net'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Unframe } from '../../src/api/unframe.ts'
import { expectStatus, field, hijack } from '../api/live.ts'
import { callApi } from '../harness/call-api.ts'
import { tarOf } from '../harness/oci-layout.ts'
import { missing } from '../harness/requirement.ts'
import type { Server } from '../harness/server.ts'
import { until } from '../harness/until.ts'
import { REGISTRY } from './client-side.ts'
import { onBothSides } from './on-both-sides.ts'

const skip = missing('dockerd', 'docker', 'docker-registry', 'skopeo')
const IMAGE = `${REGISTRY}/busybox`

/** One stage of a job: attached before the start, the script through standard input, its end by half-close. */
async function stage(server: Server, id: string, script: string): Promise<{ output: string; code: unknown }> {
  const socket = await hijack(server, `/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`)
  const wait = server.api('POST', `/containers/${id}/wait?condition=next-exit`)
  expectStatus(await server.api('POST', `/containers/${id}/start`), 204)
  const output = readOutput(socket)
  socket.end(script)
  const { json } = expectStatus(await wait, 200)
  return { output: await output, code: Reflect.get(Object(json), 'StatusCode') }
}

async function readOutput(socket: Socket): Promise<string> {
  const parts: Buffer[] = []
  for await (const chunk of socket.pipe(new Unframe())) if (Buffer.isBuffer(chunk)) parts.push(chunk)
  return Buffer.concat(parts).toString()
}

onBothSides('a CI runner feeds stages to one container', { skip }, async (_, server) => {
  await server.docker('pull', '-q', IMAGE)
  expectStatus(await server.api('POST', '/volumes/create', { Name: 'cache', Labels: { job: '1' } }), 201)
  const made = await server.api('POST', '/containers/create?name=job', {
    Image: IMAGE,
    Cmd: ['sh'],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { Binds: ['cache:/cache'], NetworkMode: 'none' },
  })
  const id = field(made, 201, 'Id')
  assert.deepEqual(await stage(server, id, 'echo one; echo kept >/cache/file; exit 3\n'), {
    output: 'one\n',
    code: 3,
  })
  // Between the stages, into the volume of a container that does not run.
  const upload = await callApi(
    server.socket,
    'PUT',
    `/containers/${id}/archive?path=/cache`,
    await tarOf([{ name: 'sent', content: 'by the runner\n' }]),
    { headers: { 'Content-Type': 'application/x-tar' } },
  )
  assert.equal(upload.status, 200, upload.text)
  assert.deepEqual(await stage(server, id, 'cat /cache/file /cache/sent >&2\n'), {
    output: 'kept\nby the runner\n',
    code: 0,
  })
  const aborted = stage(server, id, 'echo begun; sleep 600\n')
  await until(
    'the job to be killed',
    async () => (await server.api('POST', `/containers/${id}/kill`)).status === 204,
  )
  assert.equal((await aborted).code, 137)
  expectStatus(await server.api('DELETE', `/containers/${id}?force=1&v=1`), 204)
  expectStatus(await server.api('DELETE', '/volumes/cache'), 204)
})

onBothSides('an editor lives in a container', { skip }, async (t, server) => {
  await server.docker('pull', '-q', IMAGE)
  const folder = join(server.folder, 'project')
  await mkdir(folder)
  const client = (...args: string[]): ChildProcessWithoutNullStreams => {
    const child = spawn('docker', args, { env: { ...process.env, DOCKER_HOST: `unix://${server.socket}` } })
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  const events = client('events', '--filter', 'event=start', '--format', '{{.Actor.Attributes.name}}')
  const run = client(
    ...['run', '--name', 'dev', '--sig-proxy=false', '-a', 'STDOUT', '-a', 'STDERR'],
    ...['--mount', `type=bind,source=${folder},target=/workspaces/project`],
    ...['--mount', 'type=volume,src=vscode,dst=/vscode', '-l', `devcontainer.local_folder=${folder}`],
    ...['--entrypoint', '/bin/sh', IMAGE, '-c'],
    ...['echo Container started; trap "exit 0" 15; while sleep 1 & wait $!; do :; done', '-'],
  )
  await says(run, 'Container started')
  await says(events, 'dev')
  // The window is closed: the client goes, the container stays.
  run.kill('SIGKILL')
  await new Promise((resolve) => run.once('exit', resolve))
  const found = await server.docker('ps', '-q', '--filter', `label=devcontainer.local_folder=${folder}`)
  assert.match(found, /^[0-9a-f]{12}$/)

  const shell = client('exec', '-i', '-u', 'root', '-w', '/workspaces/project', found, '/bin/sh')
  for (const [command, answer] of [
    ['id -u', '0\n'],
    ['pwd', '/workspaces/project\n'],
    ['yes line | head -n 20000 | wc -l', '20000\n'],
    ['false', ''],
  ] as const) {
    const end = `mark-${Math.random()}`
    const said = says(shell, `${end}\n`)
    shell.stdin.write(`( ${command} ); echo -n ${end}; echo\n`)
    assert.equal(await said, `${answer}${end}\n`)
  }
  shell.stdin.end('exit 7\n')
  assert.equal(await new Promise((resolve) => shell.once('exit', resolve)), 7)

  const unpack = client('exec', '-i', found, 'tar', '-x', '-C', '/vscode')
  unpack.stdin.end(await tarOf([{ name: 'server', content: 'x'.repeat(3_000_000) }]))
  assert.equal(await new Promise((resolve) => unpack.once('exit', resolve)), 0)
  assert.match(await server.docker('exec', found, 'wc', '-c', '/vscode/server'), /^3000000 /)

  await server.docker('stop', found)
  assert.equal(await server.docker('inspect', '-f', '{{.State.ExitCode}}', found), '0')
  await server.docker('start', found)
  assert.match(await server.docker('exec', found, 'wc', '-c', '/vscode/server'), /^3000000 /)
})

/** What a client prints until it ends with `end`. */
function says(child: ChildProcessWithoutNullStreams, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer): void => {
      text += chunk.toString()
      if (!text.includes(end)) return
      child.stdout.off('data', onData)
      resolve(text)
    }
    child.stdout.on('data', onData)
    child.once('exit', (code) =>
      reject(new Error(`docker ended with ${code} and said ${JSON.stringify(text)}`)),
    )
  })
}
