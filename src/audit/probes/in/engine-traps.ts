/** Traps for the engine itself: descriptors and programs that it may carry inside, images and paths that lead outside. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { makeCanary } from '../../canary.ts'
import { GuestError } from '../../guest-error.ts'
import { O_WRONLY } from '../../guest-files.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { imageArchive, imageEntries, tarOf, WORK_FOLDER } from '../../image.ts'
import type { ImageEntry } from '../../image.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { openGuest } from '../../guest.ts'
import { PROGRAM } from '../../target.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { insideProbe, namesInside, sees } from './inside.ts'

/** A folder of the host that nothing of a container may change, with a canary in it; gone at the end. */
interface Trap extends Disposable {
  readonly folder: string
  readonly word: string
  /** Names that were not there before. */
  strangers(): readonly string[]
  intact(): boolean
}

function layTrap({ journal }: ProbeContext, asset: string): Trap {
  const { text } = makeCanary(asset)
  const folder = join(journal.folder, `trap-${text.slice(0, 8)}`)
  const gone = journal.plan({ kind: 'folder', path: folder })
  mkdirSync(folder, { mode: 0o755 })
  writeFileSync(join(folder, 'canary'), text)
  return {
    folder,
    word: text,
    strangers: () => readdirSync(folder).filter((name) => name !== 'canary'),
    intact: () => readFileSync(join(folder, 'canary'), 'utf8') === text,
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true })
      gone()
    },
  }
}

const HARMLESS = /^(pipe|socket|anon_inode|\/memfd|\/dev\/(null|pts|console|tty))/

async function strayDescriptors(guest: Guest, who: string): Promise<readonly Evidence[]> {
  const seen: Evidence[] = []
  for (const name of await namesInside(guest, `/proc/${who}/fd`)) {
    if (Number(name) < 3) continue
    const target = await guest.readLink(`/proc/${who}/fd/${name}`).catch(() => '')
    if (
      target === '' ||
      HARMLESS.test(target) ||
      target.startsWith(`/proc/${who}`) ||
      /^\/proc\/\d+\/fd$/.test(target)
    )
      continue
    seen.push({ kind: 'path', text: `descriptor ${name} of process ${who}: ${target}` })
  }
  return seen
}

export const descriptors: Probe = insideProbe(
  {
    id: 'I35',
    slug: 'in.fd.inherited',
    asset: 'file',
    question: 'Does a guest inherit open files of the engine, or get out through them?',
    method:
      'Descriptors above 2 of the first process and of an executed one; commands executed with WORKDIR=/proc/self/fd/N look for a canary on the host from where they are.',
    references: ['CVE-2024-21626', 'CVE-2016-9962', 'CWE-403'],
    remedy: 'Update the runtime (runc ≥ 1.1.12).',
    readOnly: false,
    timeout: 60_000,
  },
  async (context) => {
    using trap = layTrap(context, 'descriptor')
    const subject = await context.create()
    const guest = await context.guest(subject)
    const seen = [...(await strayDescriptors(guest, 'self')), ...(await strayDescriptors(guest, '1'))]
    const tryFrom = async (workingFolder: string): Promise<'refused' | 'held' | 'out'> => {
      const process_ = await subject.exec({ workingFolder })
      try {
        await using inside = await openGuest(process_, { patience: 5000 })
        const up = `${'../'.repeat(16)}${join(trap.folder, 'canary').slice(1)}`
        const content = await inside.readFile(up).catch(() => undefined)
        return content?.toString() === trap.word ? 'out' : 'held'
      } catch (error) {
        if (error instanceof GuestError) return 'refused'
        throw error
      } finally {
        await process_[Symbol.asyncDispose]()
      }
    }
    const ordinary = await tryFrom('/')
    for (let fd = 3; fd <= 12; fd += 1) {
      context.signal.throwIfAborted()
      if ((await tryFrom(`/proc/self/fd/${fd}`)) === 'out')
        seen.push({ kind: 'path', text: `WORKDIR=/proc/self/fd/${fd} leads to the host` })
    }
    return conclude({
      seen,
      controls: [await sees(guest), { what: 'a command with WORKDIR=/ runs', held: ordinary === 'held' }],
      leak: 'The guest has open files of the engine.',
      contained: 'No descriptor is inherited, and none leads outside.',
    })
  },
)

/** Images whose folders are links to a folder of the host; how each would look. */
function hostileImages(
  program: Buffer,
  trap: Trap,
): readonly { readonly name: string; readonly entries: readonly ImageEntry[] }[] {
  const base = imageEntries(program)
  const up = `${'../'.repeat(12)}${trap.folder.slice(1)}`
  const instead = (path: string, to: string): readonly ImageEntry[] => [
    ...base.filter((entry) => entry.path !== path),
    { path, type: 'symlink', to },
  ]
  return [
    { name: 'proc', entries: instead('/proc', up) },
    { name: 'dev', entries: instead('/dev', up) },
    { name: 'etc', entries: instead('/etc', up) },
    { name: 'null', entries: [...base, { path: '/dev/null', type: 'symlink', to: `${up}/canary` }] },
    { name: 'volume', entries: [...base, { path: '/volume', type: 'symlink', to: up }] },
    {
      name: 'entry',
      entries: [
        ...base,
        { path: '/way', type: 'symlink', to: up },
        { path: '/way/stranger', type: 'file', content: 'x' },
      ],
    },
  ]
}

export const imageTraversal: Probe = insideProbe(
  {
    id: 'I37',
    slug: 'in.image.traversal',
    asset: 'host files',
    question: 'Does an image whose folders are links make the engine write outside?',
    method:
      'Images with /proc, /dev, /etc, /dev/null, a volume’s target or a layer’s entry as a link to a canary folder of the host.',
    references: ['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2025-52881', 'CVE-2021-30465', 'CWE-59'],
    remedy: 'Update the engine and runtime (runc ≥ 1.2.8).',
    readOnly: false,
    timeout: 90_000,
  },
  async (context) => {
    const { target, create, world, journal, signal } = context
    const { client, socket } = target
    if (client === undefined || socket === undefined) return absent('a bare runtime takes no images')
    using trap = layTrap(context, 'image')
    const program = await (await world()).guest.readFile(PROGRAM, 1 << 22)
    const seen: Evidence[] = []
    let started = 0
    for (const { name, entries } of hostileImages(program, trap)) {
      signal.throwIfAborted()
      const image = `dewar-audit-${journal.run}-trap:${name}`
      const gone = journal.plan({ kind: 'image', socket, name: image })
      try {
        for await (const line of client.images.load(
          Readable.from([await imageArchive(image, entries)], { objectMode: false }),
        ))
          if (line.error !== '') throw new Error(line.error)
        const mounts =
          name === 'volume' ? [{ type: 'tmpfs' as const, source: '', target: '/volume/inner' }] : []
        await using subject = await create({ image, mounts })
        started += (await subject.alive()) ? 1 : 0
      } catch {
        // Refused: as good as contained.
      } finally {
        await client.images.remove(image, { force: true }).catch(() => undefined)
        gone()
      }
      const strangers = trap.strangers()
      if (strangers.length > 0)
        seen.push({ kind: 'path', text: `${name}: made ${strangers.join(' ')} in a folder of the host` })
      if (!trap.intact()) seen.push({ kind: 'path', text: `${name}: the canary on the host was changed` })
      for (const stranger of strangers) rmSync(join(trap.folder, stranger), { recursive: true, force: true })
    }
    return conclude({
      seen,
      controls: [
        { what: 'the auditor sees what is made in the folder', held: trap.intact() },
        { what: 'an image without links starts', held: await (await world()).subject.alive() },
      ],
      leak: 'A link in an image leads the engine into the host’s files.',
      contained: `The host’s folder was untouched; ${started} of 6 such images started.`,
    })
  },
)

export const copyRaces: Probe = insideProbe(
  {
    id: 'I40',
    slug: 'in.cp.races',
    asset: 'host files',
    question: 'Does copying in or out reach the host when a guest swaps the path for a link?',
    method:
      'A process inside exchanges a folder with a link to a canary folder of the host while files are copied in and out.',
    references: ['CVE-2018-15664', 'CVE-2019-14271', 'CWE-367'],
    remedy: 'Update the engine; pause the container while copying.',
    interference: 'bounded',
    readOnly: false,
    timeout: 45_000,
  },
  async (context) => {
    const { target, create, guest, signal } = context
    const { client } = target
    if (client === undefined) return absent('a bare runtime copies nothing')
    using trap = layTrap(context, 'copy')
    const subject = await create()
    const [inside, swapper] = [await guest(subject), await guest(subject)]
    const [folder, link] = [`${WORK_FOLDER}/folder`, `${WORK_FOLDER}/link`]
    await inside.makeFolder(folder)
    await inside.writeFile(`${folder}/canary`, 'inside')
    await inside.syscall('symlinkat', { in: `${'../'.repeat(12)}${trap.folder.slice(1)}` }, -100, {
      in: link,
    })
    const swap: Call = { name: 'renameat2', args: [-100, { in: folder }, -100, { in: link }, 2] }
    const swapping = swapper.repeat([swap], { milliseconds: 4000 })
    const archive = await tarOf([{ path: '/stranger', type: 'file', content: 'x' }])
    const until = performance.now() + 4000
    let copies = 0
    let worked = 0
    let out = false
    while (performance.now() < until && !signal.aborted) {
      copies += 1
      try {
        const { body } = await client.containers.getArchive(subject.id, `${folder}/canary`)
        const chunks: Buffer[] = []
        for await (const chunk of body) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
        worked += 1
        out ||= Buffer.concat(chunks).includes(trap.word)
        await client.containers.putArchive(
          subject.id,
          folder,
          Readable.from([archive], { objectMode: false }),
        )
      } catch {
        // The path is a link, or is gone, at this moment.
      }
    }
    const { rounds } = await swapping
    const seen: Evidence[] = [
      ...(out ? [{ kind: 'path' as const, text: 'copying out gave the host’s file' }] : []),
      ...trap
        .strangers()
        .map((name) => ({ kind: 'path' as const, text: `copying in made ${name} on the host` })),
    ]
    return conclude({
      seen,
      controls: [
        { what: `the paths were exchanged (${rounds} times)`, held: rounds > 10 },
        { what: `copies went on meanwhile (${worked} of ${copies} worked)`, held: worked > 0 },
      ],
      leak: 'Copying follows a link to the host.',
      contained: `${copies} copies stayed inside.`,
    })
  },
)

const MS_REMOUNT_BIND = 0x20 | 0x1000

export const sharedFolder: Probe = insideProbe(
  {
    id: 'I60',
    slug: 'in.share.writeback',
    asset: 'host files',
    question: 'Can a guest change a folder of the host that it was given to read?',
    method:
      'A folder with a canary is mounted read-only; the guest opens it for writing, remounts it, and goes up from it.',
    references: ['CVE-2020-2023', 'CWE-59'],
    remedy: 'Update the engine; no SYS_ADMIN.',
    readOnly: false,
  },
  async (context) => {
    using trap = layTrap(context, 'share')
    const subject = await context.create({
      mounts: [{ source: trap.folder, target: '/share', readOnly: true }],
    })
    const guest = await context.guest(subject)
    const errors: string[] = []
    const attempt = async (what: string, calls: readonly Call[]): Promise<void> => {
      const answers = await guest.inChild(calls)
      errors.push(`${what} ${answers.map(({ error }) => error).find((error) => error !== '') ?? 'worked'}`)
    }
    const write: Call = { name: 'openat', args: [-100, { in: '/share/canary' }, O_WRONLY], ends: true }
    const make: Call = { name: 'mkdirat', args: [-100, { in: '/share/stranger' }, 0o755] }
    await attempt('writing', [write])
    await attempt('making', [make])
    await attempt('remounting', [
      { name: 'mount', args: [0, { in: '/share' }, 0, MS_REMOUNT_BIND, 0], ends: true },
      make,
    ])
    const link = { name: 'symlinkat', args: [{ in: '/' }, -100, { in: '/share/way' }] }
    await attempt('linking', [link])
    const readable = (await guest.readFile('/share/canary')).toString() === trap.word
    const seen: Evidence[] = [
      ...trap.strangers().map((name) => ({ kind: 'path' as const, text: `${name} was made on the host` })),
      ...(trap.intact() && !errors[0]?.endsWith('worked')
        ? []
        : [{ kind: 'path' as const, text: 'the canary opens for writing' }]),
    ]
    return conclude({
      seen,
      controls: [{ what: 'the guest reads the canary in the folder', held: readable }],
      leak: 'The guest changes a folder of the host that it may only read.',
      contained: `Refused: ${errors.join(', ')}.`,
    })
  },
)

export const ENGINE_TRAPS: readonly Probe[] = [descriptors, imageTraversal, copyRaces, sharedFolder]
