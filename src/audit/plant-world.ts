/** Plants a canary in every asset of one container. None of them passes by a channel that is searched for it. */
import { makeCanary, shortName } from './canary.ts'
import type { Canary } from './canary.ts'
import type { Guest } from './guest-types.ts'
import { WORK_FOLDER } from './image.ts'
import type { Subject, SubjectOptions } from './target.ts'
import { ASSETS } from './world.ts'
import type { Asset, World } from './world.ts'

const PR_SET_NAME = 15
const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
const PAGE = 4096
const TMPFS = '/audit-tmpfs'

export async function plantWorld(
  create: (options: SubjectOptions) => Promise<Subject>,
  connect: (subject: Subject) => Promise<Guest>,
): Promise<World> {
  const canaries = new Map<Asset, Canary>(ASSETS.map((asset) => [asset, makeCanary(asset)]))
  const canary = (asset: Asset): Canary => canaries.get(asset) ?? makeCanary(asset)
  const subject = await create({
    // The log's word stands in hex in the command line, and hex of hex is another text.
    words: [Buffer.from(canary('log').text).toString('hex'), canary('argv').text],
    env: { SECRET: canary('env').text },
    hostname: canary('hostname').text,
    labels: { 'dev.dewar.audit': canary('label').text },
    mounts: [{ type: 'tmpfs', source: '', target: TMPFS }],
  })
  const guest = await connect(subject)
  const folder = `${WORK_FOLDER}/files`
  const file = `${folder}/${canary('file-name').text}`
  const tmpfs = `${TMPFS}/secret`
  await guest.makeFolder(folder, 0o755)
  await guest.writeFile(file, page(canary('file-content')), { sync: true })
  await guest.writeFile(tmpfs, canary('tmpfs').text)
  await plantDeleted(guest, `${folder}/deleted`, canary('deleted-file'))
  await plantInMemory(guest, canary('memory'))
  await guest.syscall('prctl', PR_SET_NAME, { in: `${shortName(canary('process-name'))}\0` }, 0, 0, 0)
  return { subject, guest, canary, paths: { folder, file, tmpfs } }
}

/** A page full: ext4 and others keep files of a few bytes in the inode or compress them. */
function page(canary: Canary): string {
  return `${canary.text}\n`.repeat(Math.ceil(PAGE / 33))
}

async function plantDeleted(guest: Guest, path: string, canary: Canary): Promise<void> {
  await guest.writeFile(path, page(canary), { sync: true })
  await guest.unlink(path)
}

/**
 * One byte at a time through a pipe in the guest: the canary as a whole is nowhere but at this address, not in the
 * engine that carries the requests.
 */
export async function plantInMemory(guest: Guest, canary: Canary): Promise<bigint> {
  const { value: address } = await guest.syscall(
    ...(['mmap', 0, PAGE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0] as const),
  )
  const pipe = await guest.syscall('pipe2', { out: 8 }, 0)
  const [from, to] = [pipe.out[0]?.readInt32LE(0) ?? -1, pipe.out[0]?.readInt32LE(4) ?? -1]
  for (const [offset, byte] of canary.bytes.entries()) {
    await guest.syscall('write', to, { in: Buffer.from([byte]) }, 1)
    await guest.syscall('read', from, address + BigInt(offset), 1)
  }
  await guest.syscall('close', from)
  await guest.syscall('close', to)
  return address
}
