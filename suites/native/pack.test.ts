/** Packing a tree that somebody hostile made: what is more than the core has room for is refused. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { startCore } from '../../src/kernel/core.ts'
import type { Step } from '../../src/kernel/plan.ts'
import { PlanFailed } from '../../src/kernel/plan-failed.ts'
import { encodeEntry, MAGIC, STREAM_END, XATTR_BYTES_MAX, type Entry } from '../../src/store/ops.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: run `sudo npm test`'
const NEW_MOUNTS = 0x2_0000
const PRIVATE = 0x4_4000
/** XATTR_SIZE_MAX */
const LARGEST = 65_536

const folderWith = (xattrs: NonNullable<Entry['xattrs']>): Buffer =>
  encodeEntry({ kind: 'dir', path: '.', mode: 0o755, uid: 0, gid: 0, mtime: { sec: 0, ns: 0 }, xattrs })

/** What the core packs of a folder, in a tmpfs of this plan's own, that was unpacked from `input`: the number of bytes. */
async function packed(input: Buffer): Promise<number> {
  await using folder = await tempFolder('pack')
  await using core = await startCore({ runDir: folder.path })
  const steps: Step[] = [
    { actor: 'host', op: 'unshare', flags: NEW_MOUNTS },
    { actor: 'host', op: 'propagation', flags: PRIVATE },
    { actor: 'host', op: 'fsmount', slot: 0, type: 'tmpfs', options: [], attrs: 0 },
    { actor: 'host', op: 'attach-mount', path: folder.path, slot: 0, create: false },
    { actor: 'host', op: 'chdir', path: folder.path, create: false },
    { actor: 'host', op: 'unpack' },
    { actor: 'host', op: 'pack', path: '/' },
  ]
  let bytes = 0
  await core.run(
    { steps },
    { input: Readable.from([input]), output: (chunk) => void (bytes += chunk.length) },
  )
  return bytes
}

test('pack refuses attributes of which the last begins where its room ends', { skip }, async (t) => {
  const head = 5 + 'user.a'.length
  const last = XATTR_BYTES_MAX - 5 * head - 3 * LARGEST
  // tmpfs lists them in this order (Linux 6.18).
  const fill = ['e', 'd', 'c', 'b'].map(
    (name, n) => [`user.${name}`, Buffer.alloc(n < 3 ? LARGEST : last)] as const,
  )
  const one = [['user.a', Buffer.alloc(60_000)]] as const
  const packing = packed(Buffer.concat([MAGIC, folderWith(fill), folderWith(one), STREAM_END]))
  const failure = await packing.then(
    (bytes) => `${bytes} bytes`,
    (error: unknown) => (error instanceof PlanFailed ? `${error.op} ${error.errno}` : String(error)),
  )
  if (failure === 'unpack EOPNOTSUPP') return t.skip('tmpfs takes no user attributes before Linux 6.6')
  assert.match(failure, /^pack (E2BIG|ERANGE)$/)
})
