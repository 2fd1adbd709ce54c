/** Containers whose namespaces another one shares (`container:ID` modes). */
import { DewarError } from '../base/errors.ts'
import { HasEnded } from '../kernel/shim-control.ts'
import type { Container } from './container.ts'
import type { Directory } from './directory.ts'
import { hasEnded } from './meanwhile.ts'
import type { Joins, IdRange } from './spec-namespaces.ts'
import type { HostConfig } from './types.ts'

type Modes = Pick<HostConfig, 'networkMode' | 'ipcMode' | 'pidMode'>

/**
 * `container:NAME` with the full id in the place of the name, as inspect shows it and a rename needs it. An unknown
 * name is refused, but for the network's, of which the start will say so, as with dockerd.
 */
export function canonicalModes<T extends Modes>(host: T, containers: Directory<Container>): T {
  const canonical = (mode: string, unknown: (mode: string) => string): string => {
    if (!mode.startsWith('container:')) return mode
    const target = containers.lookup(mode.slice('container:'.length))
    return target === undefined ? unknown(mode) : `container:${target.id}`
  }
  const refuse = (mode: string): string => namedContainer(mode.slice('container:'.length), containers).id
  return {
    ...host,
    networkMode: canonical(host.networkMode, (mode) => mode),
    ipcMode: canonical(host.ipcMode, refuse),
    pidMode: canonical(host.pidMode, refuse),
  }
}

/**
 * Another container that a create request names. Not 404 when there is none, which to clients means that the image is
 * missing: `docker run` would pull it.
 */
export function namedContainer(ref: string, containers: Directory<Container>): Container {
  const found = containers.lookup(ref)
  if (found === undefined) throw new DewarError('invalid-argument', `No such container: ${ref}`)
  return found
}

/** What is joined, in dockerd's words. */
const JOINED = { networkMode: 'network', pidMode: 'PID', ipcMode: 'IPC' } as const
type Joined = keyof typeof JOINED

function joined(host: Modes, containers: Directory<Container>): (readonly [Joined, Container])[] {
  return (['networkMode', 'pidMode', 'ipcMode'] as const).flatMap((mode) => {
    const target = host[mode].startsWith('container:')
      ? containers.lookup(host[mode].slice('container:'.length))
      : undefined
    return target === undefined ? [] : [[mode, target] as const]
  })
}

const targets = (host: Modes, containers: Directory<Container>): Container[] =>
  joined(host, containers).map(([, target]) => target)

/**
 * The uid range a container with these modes must have: that of whom it joins, `own` when it joins nobody. Throws
 * when it joins two that have different ones: it can be in one user namespace only.
 */
export function joinedRange(
  host: Modes,
  containers: Directory<Container>,
): { readonly range: IdRange | null } | undefined {
  const ranges = targets(host, containers).map((container) => container.record.range)
  const [first] = ranges
  if (first === undefined) return undefined
  if (ranges.every((range) => range?.base === first?.base)) return { range: first }
  throw new DewarError(
    'conflict',
    'Creating the container failed: it would join containers with different uid ranges',
    {
      remedy:
        'let them share one with --network/--pid/--ipc container:FIRST, or start all with --userns=host',
    },
  )
}

/**
 * Host pids to join now. Throws with dockerd's words when one does not run or is not there. `range`: the container's
 * own, which differs from the target's when that was made after it.
 */
export function joinPids(host: Modes, containers: Directory<Container>, range: IdRange | null): Joins {
  const network = pidOf(host, 'networkMode', containers)
  const pid = pidOf(host, 'pidMode', containers)
  const ipc = pidOf(host, 'ipcMode', containers)
  const stranger = targets(host, containers).find(({ record }) => record.range?.base !== range?.base)
  if (stranger !== undefined) {
    throw new DewarError(
      'conflict',
      `Joining container ${stranger.name} failed: it was made later and has another uid range`,
      { remedy: 'remove this container and create it again' },
    )
  }
  return {
    ...(network === undefined ? {} : { network }),
    ...(pid === undefined ? {} : { pid }),
    ...(ipc === undefined ? {} : { ipc }),
  }
}

/** `work`, which joins these containers by their pids, while those are nobody else's. */
export function whileJoined<T>(
  host: Modes,
  containers: Directory<Container>,
  work: () => Promise<T>,
): Promise<T> {
  return joined(host, containers).reduce((inner, [mode, target]) => {
    const { running } = target
    if (running === undefined) return inner
    return () =>
      running.shim.whilePid(inner).catch((error: unknown) => {
        // Its files and namespaces went with it: whichever was missed first.
        throw error instanceof HasEnded || hasEnded(target, running) ? notRunning(mode, target) : error
      })
  }, work)()
}

function pidOf(host: Modes, mode: Joined, containers: Directory<Container>): number | undefined {
  if (!host[mode].startsWith('container:')) return undefined
  const target = containers.find(host[mode].slice('container:'.length))
  const pid = target.running?.shim.pid
  if (pid === undefined) throw notRunning(mode, target)
  return pid
}

function notRunning(mode: Joined, target: Container): DewarError {
  const message = `cannot join ${JOINED[mode]} of a non running container: ${target.id}`
  return new DewarError('conflict', message, { remedy: 'start it first' })
}

/** Folder that stands for /dev/shm when it is shared; undefined when the container has its own. */
export function sharedShmOwner(
  container: Container,
  containers: Directory<Container>,
): Container | undefined {
  const mode = container.record.hostConfig.ipcMode
  if (mode === 'shareable') return container
  if (!mode.startsWith('container:')) return undefined
  const owner = containers.lookup(mode.slice('container:'.length))
  // Gone, or never there: whoever starts is told by `joinPids`; files can be read all the same.
  if (owner === undefined) return undefined
  if (owner.record.hostConfig.ipcMode === 'shareable') return owner
  throw new DewarError(
    'conflict',
    `can't join IPC of container ${owner.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
  )
}
