/**
 * A container that somebody else made and uses, on any engine with Docker's API, as the audit judges it: only looked at
 * from inside by a program that joins it. Nothing is loaded into its engine, written into it or stopped.
 */
import { connect } from '../../client/connect.ts'
import type { Client } from '../../client/connect.ts'
import { DewarError } from '../../base/errors.ts'
import { joinContainer } from '../join.ts'
import { companions, listenersOn, namespaceOf } from '../processes.ts'
import type { Subject, Target } from '../target.ts'
import { foldersOf, rootFolderOf } from './docker-api.ts'

export interface RunningContainer {
  readonly target: Target
  readonly subject: Subject
}

/** `sockets`: of the engines to look in. Throws `not-found` when none has it running, naming what was asked. */
export async function findRunningContainer(
  name: string,
  sockets: readonly string[],
  program: string,
): Promise<RunningContainer> {
  for (const socket of sockets) {
    const client = await connect({ socket }).catch(() => undefined)
    const found = await client?.containers.inspect(name).catch(() => undefined)
    if (client === undefined) continue
    if (found === undefined) {
      client.close()
      continue
    }
    if (!found.State.Running)
      throw new DewarError('conflict', `auditing container ${name} failed: it does not run`, {
        remedy: `start it: dewar start ${name}`,
      })
    const { Id: id, State } = found
    return {
      target: await targetOf(client, socket, name),
      subject: subjectOf(client, { id, name, pid: State.Pid, program }),
    }
  }
  throw new DewarError('not-found', `auditing container ${name} failed: no engine here has it`, {
    remedy: `looked in ${sockets.join(', ') || 'no engine: none listens'}; name another with container NAME docker=SOCKET`,
  })
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('a container of somebody else is only looked at'))
}

async function targetOf(client: Client, socket: string, name: string): Promise<Target> {
  const engine = await listenersOn(socket)
  const { Version } = await client.system.version()
  const root = rootFolderOf(JSON.parse(await client.system.infoRaw()))
  const pid = engine[0]
  const [theirs, ours] = await Promise.all([
    pid === undefined ? undefined : namespaceOf(pid, 'net'),
    namespaceOf('self', 'net'),
  ])
  return {
    report: { name, kind: 'container', version: Version, level: '', runArguments: [] },
    client,
    socket,
    networkNamespace: theirs === undefined || theirs === ours ? undefined : `/proc/${pid}/ns/net`,
    folders: () => foldersOf('container', root, engine),
    enginePids: () => Promise.resolve(engine),
    create: refuse,
    makeNetwork: refuse,
    async [Symbol.asyncDispose]() {
      client.close()
    },
  }
}

interface Parts {
  readonly id: string
  readonly name: string
  readonly pid: number
  readonly program: string
}

function subjectOf(client: Client, { id, name, pid, program }: Parts): Subject {
  const inspect = () => client.containers.inspect(id)
  return {
    id,
    name,
    pid,
    exec: (options = {}) =>
      options.argv === undefined && options.user === undefined && options.privileged !== true
        ? joinContainer(pid, program)
        : refuse(),
    pids: async () => [pid, ...(await companions(pid))],
    alive: async () => (await inspect()).State.Pid === pid,
    async address() {
      const networks = Object.values((await inspect()).NetworkSettings.Networks)
      return networks.map(({ IPAddress }) => IPAddress).find((address) => address !== '')
    },
    stop: refuse,
    remove: refuse,
    // Not ours: it stays.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
