/** Files of a writable layer as the container has them: host ids of its range become those inside. */
import type { Entry } from '../store/ops.ts'
import { mapXattrIds } from '../store/xattr-ids.ts'
import type { IdRange } from './spec-namespaces.ts'

/**
 * `range` null: ids inside are the host's. What belongs to nobody inside is the engine's own, mount points for one, and
 * becomes root's; an entry of an ACL or a capability that is nobody's goes.
 */
export function insideEntry<E extends Entry>(entry: E, range: IdRange | null): E {
  const { base, size } = range ?? { base: 0, size: 2 ** 32 }
  const inside = (id: number): number | undefined => (id >= base && id < base + size ? id - base : undefined)
  return {
    ...entry,
    uid: inside(entry.uid) ?? 0,
    gid: inside(entry.gid) ?? 0,
    xattrs: mapXattrIds(entry.xattrs ?? [], inside),
  }
}
