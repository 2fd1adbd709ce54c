/** What lies on the raw block device: of a running container, of deleted files, and after the container's removal. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCanary } from '../../canary.ts'
import type { Canary } from '../../canary.ts'
import type { Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import { extentsOf, readRaw, settle } from '../../observers/disk.ts'
import type { Extent } from '../../observers/disk.ts'
import { findEach, findNames } from '../../observers/find.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Subject } from '../../target.ts'
import type { Control } from '../../types.ts'
import { conclude, inconclusive } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'

const common = {
  direction: 'out',
  interference: 'none',
  readOnly: false,
  references: ['CWE-226', 'T1006'],
  timeout: 90_000,
} as const

interface Planted {
  readonly subject: Subject
  readonly guest: Guest
  readonly canary: Canary
  readonly path: string
  /** Where its bytes lie; undefined when no file of the host holds it. */
  readonly extents: readonly Extent[] | undefined
  readonly controls: readonly Control[]
}

/** Writes 64 KiB of a random word inside and finds where that lies on the device. */
async function plant(context: ProbeContext): Promise<Planted> {
  const subject = await context.create()
  const guest = await context.guest(subject)
  const canary = makeCanary('disk')
  const path = `${WORK_FOLDER}/${makeCanary('name').text}`
  await guest.writeFile(path, `${canary.text}\n`.repeat(2000), { sync: true })
  const name = path.slice(WORK_FOLDER.length + 1)
  const near = await findEach(await context.target.folders(), [name], context.signal)
  const found = near.hits.length > 0 ? near : await findNames('/', [name], context.signal)
  const host = found.hits[0]?.path
  if (host !== undefined) await settle(host)
  const extents = host === undefined ? undefined : await extentsOf(host)
  const there = extents !== undefined && (await readRaw(extents)).includes(canary.bytes)
  const controls = [
    { what: 'the search for the file came to its end', held: found.complete },
    // Encrypted storage shows nothing even now: then a control file elsewhere must be seen.
    {
      what: 'the observer reads known bytes from the raw device',
      held: there || (await seesControl(context)),
    },
  ]
  return { subject, guest, canary, path, extents, controls }
}

async function seesControl({ journal }: ProbeContext): Promise<boolean> {
  const control = makeCanary('control')
  const path = join(journal.folder, `raw-${control.text.slice(0, 8)}`)
  writeFileSync(path, `${control.text}\n`.repeat(200))
  await settle(path)
  return (await readRaw(await extentsOf(path))).includes(control.bytes)
}

/** Without a file on the host there is nothing of it on a device, or nobody can say where: levels of their own keep it. */
async function judge(
  planted: Planted,
  words: { readonly leak: string; readonly contained: string },
): Promise<Finding> {
  const { extents, canary, controls } = planted
  if (extents === undefined) {
    return inconclusive(
      'no file of the host holds it, so it is not known where on the device to look (search the whole device by hand)',
      controls,
    )
  }
  const raw = await readRaw(extents)
  const hit = extents.find((extent) => extent.length > 0)
  return conclude({
    seen: raw.includes(canary.bytes)
      ? [{ kind: 'device', text: `${hit?.device ?? ''} at byte ${hit?.at ?? 0} (${extents.length} extents)` }]
      : [],
    controls: [...controls, { what: 'its place on the device is known', held: raw.length > 0 }],
    ...words,
  })
}

async function settleStorage({ target }: ProbeContext): Promise<void> {
  for (const folder of await target.folders()) await settle(folder)
}

export const rawLive: Probe = {
  ...common,
  id: 'O22',
  slug: 'out.disk.raw-live',
  asset: 'file',
  observers: ['determined-root'],
  question: "Can a running container's files be read from the raw block device?",
  method:
    'A random word is written and synced inside; its blocks are read from the device past the file system.',
  remedy: 'Encrypt what a container writes (level sealed), or keep it in memory (gvisor with its overlay).',
  async run(context) {
    return judge(await plant(context), {
      leak: 'The word stands readable on the block device.',
      contained: 'The blocks of the file on the device do not show the word.',
    })
  },
}

export const rawDeleted: Probe = {
  ...common,
  id: 'O23',
  slug: 'out.disk.deleted-live',
  asset: 'deleted data',
  observers: ['determined-root'],
  question: 'Can a file that a container deleted still be read from the raw block device?',
  method: 'A random word is written, synced and deleted inside; the blocks it had are read from the device.',
  remedy: 'Mount the storage with `discard` on a device that zeroes, or encrypt what a container writes.',
  async run(context) {
    const planted = await plant(context)
    await planted.guest.unlink(planted.path)
    await settleStorage(context)
    return judge(planted, {
      leak: 'The deleted word still stands readable on the block device.',
      contained: 'The blocks that held the file are blank or encrypted.',
    })
  },
}

export const afterRemoval: Probe = {
  ...common,
  id: 'O24',
  slug: 'out.disk.after-rm',
  asset: 'deleted data',
  observers: ['determined-root', 'disk-thief'],
  question: 'Can the files of a removed container still be read from the raw block device?',
  method: 'A random word is written and synced inside, the container removed; the blocks it had are read.',
  remedy:
    'Mount the storage with `discard` on a device that zeroes, or use keys that die with the container.',
  async run(context) {
    const planted = await plant(context)
    await planted.subject.remove()
    await settleStorage(context)
    return judge(planted, {
      leak: 'The word of the removed container still stands readable on the block device.',
      contained: 'The blocks that held the file are blank or encrypted.',
    })
  },
}
