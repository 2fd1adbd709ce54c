import { parseAddress } from '../client/connect.ts'
import { Failure } from './failure.ts'

/** Where the engine of this command line is, and whether we may start it there. */
export interface EnginePlace {
  /** unix:///run/dewar/dewar.sock, … */
  readonly host: string
  readonly root: string | undefined
  readonly run: string | undefined
  /** True for the default place, and for a unix socket named together with its --root or --run: that engine is ours. */
  readonly startable: boolean
}

export interface PlaceFlags {
  readonly hosts: readonly string[]
  readonly root: string
  readonly run: string
}

/** -H, then DEWAR_HOST, then DOCKER_HOST, then the socket of the engine that --run describes or of this machine's. */
export function findEngine(flags: PlaceFlags, env: NodeJS.ProcessEnv): EnginePlace {
  if (flags.hosts.length > 1) throw new Failure('choosing the engine failed: more than one --host (give one)')
  const named = flags.hosts[0] ?? nonEmpty(env['DEWAR_HOST']) ?? nonEmpty(env['DOCKER_HOST'])
  const root = nonEmpty(flags.root)
  const run = nonEmpty(flags.run)
  if (named === undefined) {
    return { host: `unix://${run ?? defaultRunFolder(env)}/dewar.sock`, root, run, startable: true }
  }
  const ours = (root !== undefined || run !== undefined) && parseAddress(named).kind === 'unix'
  return { host: named, root, run, startable: ours }
}

/** /run/dewar for root, the XDG runtime folder for others. */
export function defaultRunFolder(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/run/dewar'
  return `${nonEmpty(env['XDG_RUNTIME_DIR']) ?? `/run/user/${process.getuid?.() ?? 0}`}/dewar`
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}
