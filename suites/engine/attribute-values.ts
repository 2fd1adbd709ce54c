/** Values of extended attributes in hex, as suites/engine/xattr.c takes and prints them, and those that archives carry. */
import { TarReader } from '../../src/store/tar-read.ts'
import { encodeTarHeader, TAR_END, tarPadding } from '../../src/store/tar-write.ts'

export const CAPABILITY = 'security.capability'
export const ACL = 'system.posix_acl_access'
export const DEFAULT_ACL = 'system.posix_acl_default'

const words = (...all: readonly number[]): string => {
  const out = Buffer.alloc(4 * all.length)
  all.forEach((word, n) => out.writeUInt32LE(word, 4 * n))
  return out.toString('hex')
}

const NET_RAW = 1 << 13
/** capabilities(7): cap_net_raw+ep, of version 2. */
export const NET_RAW_FILE = words(0x0200_0001, NET_RAW, 0, 0, 0)
/** The same of version 3, which names the root of a user namespace. */
export const netRawOf = (root: number): string => words(0x0300_0001, NET_RAW, 0, 0, 0, root)

/** acl(5) with these users, who may do all; a group and others, who may do nothing. */
export function acl(...users: readonly number[]): string {
  const NOBODY = 0xffff_ffff
  const entry = (tag: number, permissions: number, id = NOBODY): readonly number[] => [
    tag + permissions * 0x1_0000,
    id,
  ]
  return words(
    2,
    ...entry(1, 6),
    ...users.flatMap((id) => entry(2, 7, id)),
    ...entry(4, 0),
    ...entry(8, 4, 50),
    ...entry(16, 7),
    ...entry(32, 0),
  )
}

export interface Member {
  readonly name: string
  readonly kind?: 'dir'
  readonly mode?: number
  readonly content?: Buffer
  readonly xattrs?: Readonly<Record<string, string>>
}

export function tarWith(...members: readonly Member[]): Buffer {
  const parts = members.flatMap(({ name, kind, mode, content = Buffer.alloc(0), xattrs = {} }) => [
    encodeTarHeader({
      kind: kind ?? 'file',
      name,
      link: '',
      mode: mode ?? (kind === 'dir' ? 0o755 : 0o670),
      uid: 0,
      gid: 0,
      mtime: { sec: 1, ns: 0 },
      size: content.length,
      major: 0,
      minor: 0,
      xattrs: Object.entries(xattrs).map(([key, hex]) => [key, Buffer.from(hex, 'hex')] as const),
    }),
    content,
    tarPadding(content.length),
  ])
  return Buffer.concat([...parts, TAR_END])
}

/** `PATH NAME` → hex, of an archive. */
export async function attributesIn(tar: AsyncIterable<unknown>): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const reader = new TarReader()
  for await (const chunk of tar) {
    if (!Buffer.isBuffer(chunk)) throw new Error('bytes were expected')
    for (const event of reader.push(chunk)) {
      if (event.type !== 'entry') continue
      for (const [name, value] of event.entry.xattrs)
        found.set(`${event.entry.name.replace(/^\.?\/|\/$/g, '')} ${name}`, value.toString('hex'))
    }
  }
  reader.finish()
  return found
}

/** The same of the topmost layer of a saved image. */
export async function attributesInLayer(saved: AsyncIterable<unknown>): Promise<Map<string, string>> {
  const blobs = new Map<string, Buffer[]>()
  const reader = new TarReader()
  let parts: Buffer[] = []
  for await (const chunk of saved) {
    if (!Buffer.isBuffer(chunk)) throw new Error('bytes were expected')
    for (const event of reader.push(chunk)) {
      if (event.type === 'entry') blobs.set(event.entry.name, (parts = []))
      else if (event.type === 'data') parts.push(Buffer.from(event.bytes))
    }
  }
  const manifest: unknown = JSON.parse(Buffer.concat(blobs.get('manifest.json') ?? []).toString())
  const layers: unknown = Array.isArray(manifest) ? Reflect.get(Object(manifest[0]), 'Layers') : undefined
  const top: unknown = Array.isArray(layers) ? layers.at(-1) : undefined
  return attributesIn(ofChunks(blobs.get(String(top)) ?? []))
}

async function* ofChunks(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}
