/** A folder that is given to be read. */
import { O_WRONLY } from '../../guest-files.ts'
import type { Call } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { insideProbe } from './inside.ts'
import { layTrap } from './trap.ts'

const MS_REMOUNT_BIND = 0x20 | 0x1000

export const sharedFolder: Probe = insideProbe(
  {
    id: 'I60',
    slug: 'in.share.writeback',
    asset: 'host files',
    question: 'Can a guest change a folder of the host that it was given to read?',
    method:
      'A folder with a canary that everybody may write to is mounted read-only; the guest opens it for writing, remounts it, and goes up from it.',
    references: ['CVE-2020-2023', 'CWE-59'],
    remedy: 'Update the engine; no SYS_ADMIN.',
    readOnly: false,
  },
  async (context) => {
    using trap = layTrap(context, 'share', { open: true })
    using given = layTrap(context, 'given', { open: true })
    const subject = await context.create({
      mounts: [
        { source: trap.folder, target: '/share', readOnly: true },
        { source: given.folder, target: '/given' },
      ],
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
    await attempt('writing where it may', [
      { name: 'mkdirat', args: [-100, { in: '/given/stranger' }, 0o755] },
    ])
    const wrote = given.strangers().length > 0
    errors.pop()
    const readable = (await guest.readFile('/share/canary')).toString() === trap.word
    const seen: Evidence[] = [
      ...trap.strangers().map((name) => ({ kind: 'path' as const, text: `${name} was made on the host` })),
      ...(trap.intact() && !errors[0]?.endsWith('worked')
        ? []
        : [{ kind: 'path' as const, text: 'the canary opens for writing' }]),
    ]
    return conclude({
      seen,
      controls: [
        { what: 'the guest reads the canary in the folder', held: readable },
        {
          what: `it changes a folder that it was given to write (${given.strangers().join(' ')})`,
          held: wrote,
        },
      ],
      leak: 'The guest changes a folder of the host that it may only read.',
      contained: `Refused: ${errors.join(', ')}.`,
    })
  },
)
