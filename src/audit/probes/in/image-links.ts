/** Images whose folders are links, so that an engine that prepares them follows one outside. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Client } from '../../../client/connect.ts'
import { imageArchive, imageEntries } from '../../image.ts'
import type { ImageEntry } from '../../image.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { PROGRAM } from '../../target.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { insideProbe } from './inside.ts'
import { layTrap } from './trap.ts'
import type { Trap } from './trap.ts'

/** More than a path on a host has folders. */
const UP = '../'.repeat(40)

const CONTROL = 'no-link'

/** Images whose folders are links to a folder of the host; how each would look. */
function hostileImages(
  program: Buffer,
  trap: Trap,
): readonly { readonly name: string; readonly entries: readonly ImageEntry[] }[] {
  const base = imageEntries(program)
  const up = `${UP}${trap.folder.slice(1)}`
  const instead = (path: string, to: string): readonly ImageEntry[] => [
    ...base.filter((entry) => entry.path !== path),
    { path, type: 'symlink', to },
  ]
  return [
    // Takes the same way, and must arrive.
    { name: CONTROL, entries: base },
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

interface Hostile {
  readonly client: Client
  readonly socket: string
  readonly name: string
  readonly entries: readonly ImageEntry[]
}

/** How far an image came: `is refused when …`, or `starts`. */
async function way(context: ProbeContext, { client, socket, name, entries }: Hostile): Promise<string> {
  const image = `dewar-audit-${context.journal.run}-trap:${name}`
  const gone = context.journal.plan({ kind: 'image', socket, name: image })
  let at = 'loaded'
  try {
    const archive = Readable.from([await imageArchive(image, entries)], { objectMode: false })
    for await (const line of client.images.load(archive)) if (line.error !== '') throw new Error(line.error)
    at = 'started'
    const mounts = name === 'volume' ? [{ type: 'tmpfs' as const, source: '', target: '/volume/inner' }] : []
    await using subject = await context.create({ image, mounts })
    return (await subject.alive()) ? 'starts' : 'ends at once'
  } catch {
    context.signal.throwIfAborted()
    return `is refused when ${at}`
  } finally {
    await client.images.remove(image, { force: true }).catch(() => undefined)
    gone()
  }
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
    const { target, world, signal } = context
    const { client, socket } = target
    if (client === undefined || socket === undefined) return absent('a bare runtime takes no images')
    using trap = layTrap(context, 'image')
    const program = await (await world()).guest.readFile(PROGRAM, 1 << 22)
    const seen: Evidence[] = []
    const ways = new Map<string, string>()
    for (const { name, entries } of hostileImages(program, trap)) {
      signal.throwIfAborted()
      ways.set(name, await way(context, { client, socket, name, entries }))
      const strangers = trap.strangers()
      if (strangers.length > 0)
        seen.push({ kind: 'path', text: `${name}: made ${strangers.join(' ')} in a folder of the host` })
      if (!trap.intact()) seen.push({ kind: 'path', text: `${name}: the canary on the host was changed` })
      trap.sweep()
    }
    writeFileSync(join(trap.folder, 'control'), '')
    const shows = trap.sweep()
    return conclude({
      seen,
      controls: [
        { what: 'the auditor sees what is made in the folder', held: shows },
        {
          what: `an image without links, loaded the same way, ${ways.get(CONTROL)}`,
          held: ways.get(CONTROL) === 'starts',
        },
      ],
      leak: 'A link in an image leads the engine into the host’s files.',
      contained: `The host’s folder was untouched: ${[...ways].map(([name, how]) => `${name} ${how}`).join(', ')}.`,
    })
  },
)
