/** `grep -ra` over all that a target keeps, once for all canaries of a world. */
import { stat, statfs } from 'node:fs/promises'
import type { ProbeContext } from '../probe.ts'
import type { Evidence } from '../types.ts'
import { ASSETS } from '../world.ts'
import type { Asset, World } from '../world.ts'
import { controlFile, searchContents } from './find.ts'
import type { ContentSearch } from './find.ts'

/** ms; a store of many images is larger than anybody waits for. */
const LIMIT = 60_000
const TMPFS_MAGIC = 0x01021994

export interface AtRest {
  /** Paths by asset. */
  readonly found: ReadonlyMap<Asset, readonly string[]>
  readonly search: ContentSearch
  /** The search found a control file beside. */
  readonly sees: boolean
}

const done = new WeakMap<World, Promise<AtRest>>()

/** Shared by the probes of one world: the bytes at rest are read once. */
export async function searchAtRest(
  context: Pick<ProbeContext, 'world' | 'target' | 'journal'>,
): Promise<AtRest> {
  const world = await context.world()
  const known = done.get(world)
  if (known !== undefined) return known
  const search = searchFor(context, world)
  done.set(world, search)
  return search
}

async function searchFor(
  { target, journal }: Pick<ProbeContext, 'target' | 'journal'>,
  world: World,
): Promise<AtRest> {
  const canaries = ASSETS.map((asset) => world.canary(asset))
  using control = controlFile(journal)
  const roots = [...(await target.folders()), control.path]
  const search = await searchContents(roots, [...canaries, control.content], AbortSignal.timeout(LIMIT))
  const found = new Map<Asset, readonly string[]>(
    ASSETS.map((asset) => [
      asset,
      search.hits.filter(({ canary }) => canary.asset === asset).map(({ path }) => path),
    ]),
  )
  return { found, search, sees: search.hits.some(({ canary }) => canary === control.content) }
}

export function pathEvidence(paths: readonly string[]): readonly Evidence[] {
  return paths.map((path) => ({ kind: 'path', text: path }))
}

/** False for what lies in memory (tmpfs) or is gone. */
export async function isOnDisk(path: string): Promise<boolean> {
  const there = await stat(path).catch(() => undefined)
  return there !== undefined && (await statfs(path)).type !== TMPFS_MAGIC
}
