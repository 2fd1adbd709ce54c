import { chmod, mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from '../harness/requirement.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { DEWAR } from '../harness/project.ts'
import { normalise } from './normalise.ts'
import type { Row } from './row.ts'

/** The names every side has, pulled from the registry and tagged. */
const IMAGES = ['busybox', 'configured', 'healthy', 'layered', 'nginx'] as const
const REGISTRY = '127.0.0.1:5000'

export interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A client in front of a server: docker on dockerd, docker on ours, dewar on ours. */
export interface Side {
  readonly name: 'reference' | 'engine' | 'cli'
  run(row: Row): Promise<Answer>
}

/** Images, ready for the rows; what `reset` returns to. */
export async function prepare(server: Server, withNginx: boolean): Promise<ReadonlySet<string>> {
  for (const name of IMAGES) {
    if (name === 'nginx' && !withNginx) continue
    await server.docker('pull', '--quiet', `${REGISTRY}/${name}`)
    await server.docker('tag', `${REGISTRY}/${name}`, name)
    await server.docker('rmi', `${REGISTRY}/${name}`)
  }
  const images = (await server.api('GET', '/images/json')).json as readonly { readonly Id: string }[]
  return new Set(images.map(({ Id }) => Id.replace('sha256:', '').slice(0, 12)))
}

export async function sideOf(
  name: Side['name'],
  server: Server,
  imageIds: ReadonlySet<string>,
): Promise<Side> {
  const programs = join(server.folder, `bin-${name}`)
  const work = join(server.folder, `work-${name}`)
  const docker = findProgram('docker')
  if (docker === undefined) throw new Error('finding the docker client: not there; apt-get install docker.io')
  await mkdir(programs, { recursive: true })
  await symlink(docker, join(programs, 'realdocker'))
  await symlink(name === 'cli' ? DEWAR : docker, join(programs, 'docker'))
  return {
    name,
    async run(row) {
      await mkdir(work)
      await chmod(work, 0o755)
      const result = await server.run(['bash', '-c', row.script], {
        cwd: work,
        timeout: row.timeout ?? 120_000,
        env: {
          PATH: `${programs}:${process.env['PATH'] ?? ''}`,
          SOCK: server.socket,
          HOME: work,
          LC_ALL: 'C.UTF-8',
          DEWAR_HOST: `unix://${server.socket}`,
        },
      })
      await reset(server)
      await rm(work, { recursive: true, force: true })
      const clean = (text: string) => normalise(text, row, { imageIds, folder: work })
      const late = result.timedOut ? `\n(killed after ${Math.round(result.ms)} ms)` : ''
      return { code: result.code, stdout: clean(result.stdout), stderr: clean(result.stderr) + late }
    },
  }
}

interface Listed {
  readonly Id: string
  readonly Name: string
  readonly RepoTags: readonly string[] | null
  readonly RepoDigests: readonly string[] | null
}

/** Takes away what a row left, so that a row that fails spoils no other. */
async function reset(server: Server): Promise<void> {
  await removeAllContainers(server)
  const volumes = (await server.api('GET', '/volumes')).json as { readonly Volumes: readonly Listed[] | null }
  for (const { Name } of volumes.Volumes ?? []) await server.api('DELETE', `/volumes/${Name}?force=1`)
  const networks = (await server.api('GET', '/networks')).json as readonly Listed[]
  for (const { Name } of networks)
    if (!['bridge', 'host', 'none'].includes(Name)) await server.api('DELETE', `/networks/${Name}`)
  await resetImages(server)
}

async function resetImages(server: Server): Promise<void> {
  const images = (await server.api('GET', '/images/json')).json as readonly Listed[]
  const wanted = new Set<string>(IMAGES.map((name) => `${name}:latest`))
  const present = new Set(images.flatMap(({ RepoTags }) => RepoTags ?? []))
  for (const { Id, RepoTags, RepoDigests } of images) {
    const extra = [...(RepoTags ?? []), ...(RepoDigests ?? [])].filter(
      (name) => !wanted.has(name) && !name.startsWith('<none>') && !/^(\w+)@/.test(name),
    )
    for (const name of extra) await server.api('DELETE', `/images/${name}?force=1`)
    if ((RepoTags ?? []).every((tag) => tag.startsWith('<none>')))
      await server.api('DELETE', `/images/${Id}?force=1`)
  }
  for (const name of IMAGES) {
    if (present.has(`${name}:latest`) || (name === 'nginx' && !present.has('busybox:latest'))) continue
    const pulled = await server.run(['docker', 'pull', '--quiet', `${REGISTRY}/${name}`])
    if (pulled.code !== 0) continue
    await server.docker('tag', `${REGISTRY}/${name}`, name)
    await server.docker('rmi', `${REGISTRY}/${name}`)
  }
}
