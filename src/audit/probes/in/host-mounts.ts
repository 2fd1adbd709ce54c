/** Folders and files of the host that were mounted into a container, by will or not. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeCanary } from '../../canary.ts'
import { AT_FDCWD } from '../../guest-files.ts'
import type { Call, Guest } from '../../guest-types.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Control, Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { insideProbe, kernelOf, sees, short, textInside, textOnHost } from './inside.ts'

interface Mount {
  /** `254:0`: the same inside and outside, for there is one kernel. */
  readonly device: string
  /** Path in the file system of what is mounted. */
  readonly root: string
  readonly at: string
  readonly type: string
}

/** proc(5): `ID PARENT DEVICE ROOT AT OPTIONS … - TYPE SOURCE …`, with octal escapes. */
export function mountsIn(info: string): readonly Mount[] {
  return info.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , device = '', root = '', at = ''] = before.split(' ').map(unescapeOctal)
    return at === '' ? [] : [{ device, root, at, type: after.split(' ')[0] ?? '' }]
  })
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  )
}

/**
 * File systems of the kernel, and where containers have them for themselves: what they show there is another probe's, also
 * where the instance is the host's (sysfs with --network=host, control groups). Elsewhere somebody has mounted the host's.
 */
const OF_THE_KERNEL: Readonly<Record<string, string>> = {
  sysfs: '/sys',
  cgroup: '/sys/fs/cgroup',
  cgroup2: '/sys/fs/cgroup',
  mqueue: '/dev/mqueue',
  devpts: '/dev',
  // Its root, whatever the host calls it.
  overlay: '/',
  'fuse-overlayfs': '/',
}

/** Where there may be no nodes, in a user namespace, engines lend the host's: which of them is I20's question. */
const NODE = /^\/(null|zero|full|random|urandom|tty|console|ptmx|net\/tun|fuse)$/

function isOfContainer({ type, at, root }: Mount): boolean {
  if (type === 'devtmpfs') return NODE.test(root) || (root !== '/' && isBelow(at, '/dev'))
  const place = OF_THE_KERNEL[type]
  if (place === undefined) return false
  return place === '/' ? at === '/' : isBelow(at, place)
}

/** Where on the host this is: below which of its mounts the root lies. The deepest, and of those the shortest path. */
export function placeOnHost(mount: Mount, host: readonly Mount[]): string | undefined {
  const places = host
    .filter(({ device, root }) => device === mount.device && isBelow(mount.root, root))
    .toSorted((a, b) => b.root.length - a.root.length || a.at.length - b.at.length)
  const [place] = places
  return place === undefined ? undefined : join(place.at, mount.root.slice(place.root.length))
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

/** A folder of the host with a random word in a file that all may read; gone at the end. */
function plantOnHost({
  journal,
}: ProbeContext): Disposable & { readonly path: string; readonly word: string } {
  const { text } = makeCanary('host-file')
  const folder = join(journal.folder, `host-${text.slice(0, 8)}`)
  const gone = journal.plan({ kind: 'folder', path: folder })
  mkdirSync(folder, { mode: 0o755 })
  const path = join(folder, 'canary')
  writeFileSync(path, text, { mode: 0o644 })
  return {
    path,
    word: text,
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true })
      gone()
    },
  }
}

/** The file as it would be called below a mount of any of its folders: the whole path, and each end of it. */
function endsOf(path: string): readonly string[] {
  const words = path.split('/').filter((word) => word !== '')
  return words.map((_word, index) => `/${words.slice(index).join('/')}`)
}

const W_OK = 2

/** Nothing is written: access(2) knows of read-only mounts, too. */
async function isWritable(guest: Guest, path: string): Promise<boolean> {
  return (await guest.syscall('faccessat', AT_FDCWD, { in: path }, W_OK)).error === ''
}

/** What an engine keeps for one container lies below a folder of its id; volumes are meant to be given. */
export function isKeptFor(id: string, place: string, engine: readonly string[]): boolean {
  return engine
    .filter((folder) => isBelow(place, folder) && place !== folder)
    .some((folder) => {
      const words = place.slice(folder.length).split('/')
      const own = words.includes(id) || isOfPod(words)
      return own || /\/volumes\/[^/]+\/_data(\/|$)/.test(place.slice(folder.length))
    })
}

/** Containers of one pod (podman) have these of its first one. */
function isOfPod(words: readonly string[]): boolean {
  const at = words.findIndex((word) => /^[0-9a-f]{64}$/.test(word))
  const name = words.at(-1) ?? ''
  return at >= 0 && at < words.length - 1 && ['hosts', 'hostname', 'resolv.conf', 'shm'].includes(name)
}

interface Search {
  /** Of the container. */
  readonly id: string
  readonly canary: { readonly path: string; readonly word: string }
  /** The engine's folders. */
  readonly engine: readonly string[]
}

async function hostTrees(guest: Guest, { id, canary, engine }: Search): Promise<readonly Evidence[]> {
  // Another kernel numbers its devices by itself: there the file alone tells.
  const { shared } = await kernelOf(guest)
  const host = shared ? mountsIn(await textOnHost('/proc/self/mountinfo')) : []
  const inside = mountsIn(await textInside(guest, '/proc/self/mountinfo')).slice(0, MOST_MOUNTS)
  const read = await findCanary(guest, inside, canary)
  const seen: Evidence[] = []
  for (const mount of inside) {
    const place = isOfContainer(mount) ? undefined : placeOnHost(mount, host)
    const given = place !== undefined && !isKeptFor(id, place, engine)
    const at = read.get(mount.at)
    if (at === undefined && !given) continue
    const how = (await isWritable(guest, mount.at)) ? 'writable' : 'read-only or closed to it'
    const what = at === undefined ? '' : `, and the canary of the host is read at ${at}`
    seen.push({
      kind: 'path',
      text: short(`${mount.at} is the host's ${place ?? 'tree'}, ${how}${what}`, 240),
    })
  }
  return seen
}

const MOST_MOUNTS = 200

/** Mount points below which the file is, and where. */
async function findCanary(
  guest: Guest,
  mounts: readonly Mount[],
  { path, word }: { readonly path: string; readonly word: string },
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const { at } of mounts) {
    const places = endsOf(path).map((end) => join(at, end))
    const calls = places.flatMap((place, index): readonly Call[] => [
      { name: 'openat', args: [AT_FDCWD, { in: place }, NONBLOCKING] },
      { name: 'read', args: [{ result: index * 3 }, { out: 64, short: true }, 64] },
      { name: 'close', args: [{ result: index * 3 }] },
    ])
    const answers = await guest.inChild(calls)
    const hit = places.find((_place, index) => answers[index * 3 + 1]?.out[0]?.toString() === word)
    if (hit !== undefined) found.set(at, hit)
  }
  return found
}

const NONBLOCKING = 0o4000

/** A container that was given the canary's folder: the same search must find it. */
async function findsWhatIsGiven(
  context: ProbeContext,
  canary: { readonly path: string; readonly word: string },
): Promise<Control> {
  const source = dirname(canary.path)
  const given = await context.create({ mounts: [{ source, target: '/audit-given', readOnly: true }] })
  const found = await hostTrees(await context.guest(given), { id: given.id, canary, engine: [] })
  const held = found.some(({ text }) => text.includes('/audit-given') && text.includes('canary'))
  return { what: 'in a container that was given the folder the search finds it', held }
}

export const hostTree: Probe = insideProbe(
  {
    id: 'I61',
    slug: 'in.mount.host-tree',
    asset: 'host files',
    question: 'Does a guest have folders or files of the host in its mounts?',
    method:
      'The host plants a file; it is looked for below each mount inside. Each mount that is a place of the host outside the engine’s storage is named (device and root in mountinfo), and whether it could be written (access, nothing is written).',
    references: ['CWE-668', 'T1611'],
    remedy:
      'Mount no folders of the host (-v /…): use volumes, copies, or the one file that is needed, read-only.',
    timeout: 45_000,
  },
  async (context) => {
    using canary = plantOnHost(context)
    const subject = await context.subject()
    const guest = await context.guest(subject)
    const seen = await hostTrees(guest, { id: subject.id, canary, engine: await context.target.folders() })
    const mounts = mountsIn(await textInside(guest, '/proc/self/mountinfo'))
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the list of mounts can be read inside', held: mounts.some(({ at }) => at === '/') },
        { what: `all of them were searched (${mounts.length})`, held: mounts.length <= MOST_MOUNTS },
        // To a container of somebody else nothing may be given.
        ...(context.container === undefined ? [await findsWhatIsGiven(context, canary)] : []),
      ],
      leak: 'The guest has files of the host that lie outside the engine’s storage.',
      contained: `None of ${mounts.length} mounts inside is a place of the host, and its file is below none.`,
    })
  },
)

export const HOST_MOUNTS: readonly Probe[] = [hostTree]
