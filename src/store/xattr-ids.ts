/** Ids that extended attributes hold: of the users and groups of ACLs (acl(5)), and of a file capability's root. Pure. */
export type Xattrs = readonly (readonly [name: string, value: Buffer])[]

/** What an id becomes; undefined: nobody. */
export type MapId = (id: number) => number | undefined

/** Attributes with their ids mapped. What names somebody who becomes nobody goes, the rest of an ACL stays. */
export function mapXattrIds(xattrs: Xattrs, map: MapId): Xattrs {
  return xattrs.flatMap(([name, value]) => {
    const mapped = mapValue(name, value, map)
    return mapped === undefined ? [] : [[name, mapped] as const]
  })
}

/** As `mapXattrIds`, for entries of ACLs whose id had no name for who read them. The kernel takes no such ACL back. */
export function withoutNobody(xattrs: Xattrs): Xattrs {
  if (!xattrs.some(([name]) => isAcl(name))) return xattrs
  return xattrs.map(([name, value]) =>
    isAcl(name) ? ([name, mapAcl(value, (id) => id)] as const) : ([name, value] as const),
  )
}

function mapValue(name: string, value: Buffer, map: MapId): Buffer | undefined {
  if (name === 'security.capability') return mapCapability(value, map)
  return isAcl(name) ? mapAcl(value, map) : value
}

const isAcl = (name: string): boolean =>
  name === 'system.posix_acl_access' || name === 'system.posix_acl_default'

const CAPABILITY_V2 = { bytes: 20, revision: 0x0200_0000 }
const CAPABILITY_V3 = { bytes: 24, rootAt: 20 }

/**
 * Capabilities that were set inside a user namespace name its root (capabilities(7), "Namespaced file
 * capabilities"). With root 0 they are plain ones. Of another root, which a container's own namespaces have, they stay
 * that root's: as plain ones they would be worth more than who set them had.
 */
function mapCapability(value: Buffer, map: MapId): Buffer | undefined {
  if (value.length !== CAPABILITY_V3.bytes) return value
  const root = map(value.readUInt32LE(CAPABILITY_V3.rootAt))
  if (root === undefined) return undefined
  if (root === 0) {
    const plain = Buffer.from(value.subarray(0, CAPABILITY_V2.bytes))
    plain.writeUInt32LE((plain.readUInt32LE(0) & 0x00ff_ffff) + CAPABILITY_V2.revision, 0)
    return plain
  }
  const mapped = Buffer.from(value)
  mapped.writeUInt32LE(root, CAPABILITY_V3.rootAt)
  return mapped
}

const ACL_HEADER_BYTES = 4
const ACL_ENTRY_BYTES = 8
const ACL_ID_AT = 4
/** Tags of named users and groups; the others' entries have no id. */
const NAMED = new Set([2, 8])
const NO_ID = 0xffff_ffff

/**
 * An ACL as `linux/posix_acl_xattr.h` has it. Never dropped whole: the group's bits of a file's mode are then the mask
 * of its ACL, and would become the rights of its group.
 */
function mapAcl(value: Buffer, map: MapId): Buffer {
  if ((value.length - ACL_HEADER_BYTES) % ACL_ENTRY_BYTES !== 0) return value
  const parts = [value.subarray(0, ACL_HEADER_BYTES)]
  for (let at = ACL_HEADER_BYTES; at < value.length; at += ACL_ENTRY_BYTES) {
    const entry = Buffer.from(value.subarray(at, at + ACL_ENTRY_BYTES))
    if (NAMED.has(entry.readUInt16LE(0))) {
      const old = entry.readUInt32LE(ACL_ID_AT)
      const id = old === NO_ID ? undefined : map(old)
      if (id === undefined) continue
      entry.writeUInt32LE(id, ACL_ID_AT)
    }
    parts.push(entry)
  }
  return Buffer.concat(parts)
}
