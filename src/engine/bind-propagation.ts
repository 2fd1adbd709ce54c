/**
 * Which way what is mounted later in a bind's source or destination travels (mount_namespaces(7)). As with dockerd: `shared`
 * and `slave` want a source that gives mounts away, and binds of what the engine's own mounts lie in are slaves.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { isWithin, mountOf, parseMountinfo } from '../base/mountinfo.ts'
import { DewarError } from '../base/errors.ts'
import type { BindRequest } from './mount-parts.ts'
import type { ContainerRecord } from './record.ts'

/** What a bind gets that asks for `propagation`, which is empty when it did not say. Throws for a folder of the engine's. */
export function bindPropagation({ source, propagation }: BindRequest, engineRoot: string): string {
  const root = realPath(engineRoot)
  if (![source, realPath(source)].some((path) => isAround(path, root))) return propagation || 'rprivate'
  if (propagation === '') return 'rslave'
  if (propagation === 'rslave' || propagation === 'rshared') return propagation
  throw new DewarError(
    'invalid-argument',
    `invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, daemon root: "${root}", bind mount source: "${source}", propagation: "${propagation}"`,
  )
}

/** Throws, as a start does, for a source whose mounts would not travel as was asked. */
export function refuseUnsharedSources({ mounts }: Pick<ContainerRecord, 'mounts'>, engineRoot: string): void {
  const root = realPath(engineRoot)
  for (const { source, propagation } of mounts) {
    const isShared = propagation.endsWith('shared')
    // One of the engine's own is as good without: nobody may have asked for it.
    if (!isShared && (!propagation.endsWith('slave') || isAround(realPath(source), root))) continue
    const mount = mountOf(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')), realPath(source))
    const tags = mount?.propagation ?? []
    if (tags.includes('shared') || (!isShared && tags.includes('master'))) continue
    throw new DewarError(
      'system',
      `path ${source} is mounted on ${mount?.path ?? '/'} but it is not a shared ${isShared ? '' : 'or slave '}mount`,
      { remedy: `mount --make-shared ${mount?.path ?? '/'} makes it one` },
    )
  }
}

/** `path` without a slash at the end, as `-v /tmp/:/x` has it. */
function isAround(path: string, root: string): boolean {
  const plain = path.replace(/(.)\/+$/, '$1')
  return isWithin(root, plain) || isWithin(plain, root)
}

/** A source that is gone is left for the start to fail on, which names it. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
