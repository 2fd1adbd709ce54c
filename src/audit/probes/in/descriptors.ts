/** Open files of the engine's that it carries inside. */
import { join } from 'node:path'
import { GuestError } from '../../guest-error.ts'
import { openGuest } from '../../guest.ts'
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import type { Control, Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { insideProbe, namesInside, sees } from './inside.ts'
import { layTrap } from './trap.ts'

/** Nothing of the engine's: a guest gets the same by opening it. */
const HARMLESS = /^\/dev\/(null|zero|full|u?random|pts\/\d+|console|tty)$/

interface Descriptors {
  readonly seen: readonly Evidence[]
  readonly control: Control
}

/**
 * All above 2, sockets and pipes of the engine's, too, and what is no file at all: a pidfd is a process of the host's, a
 * mount's or an eventfd somebody's handle.
 */
async function strayDescriptors(guest: Guest, who: string): Promise<Descriptors> {
  const seen: Evidence[] = []
  const names = await namesInside(guest, `/proc/${who}/fd`)
  let readable = 0
  for (const name of names) {
    const target = await guest.readLink(`/proc/${who}/fd/${name}`).catch(() => '')
    if (target === '') continue
    readable += 1
    // The folder itself, while it is listed.
    if (Number(name) < 3 || HARMLESS.test(target) || /^\/proc\/(\d+|self)\/fd$/.test(target)) continue
    seen.push({ kind: 'path', text: `descriptor ${name} of process ${who}: ${target}` })
  }
  const what = `the descriptors of process ${who} can be read (${readable} of ${names.length})`
  return { seen, control: { what, held: readable > 0 } }
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
    const [own, first] = [await strayDescriptors(guest, 'self'), await strayDescriptors(guest, '1')]
    const seen = [...own.seen, ...first.seen]
    const tryFrom = async (workingFolder: string): Promise<'refused' | 'held' | 'out'> => {
      const process_ = await subject.exec({ workingFolder })
      try {
        await using inside = await openGuest(process_, { patience: 10_000 })
        const up = `${'../'.repeat(16)}${join(trap.folder, 'canary').slice(1)}`
        const content = await inside.readFile(up).catch(() => undefined)
        return content?.toString() === trap.word ? 'out' : 'held'
      } catch (error) {
        // What does not answer in time was not refused.
        if (error instanceof GuestError && error.error !== 'TIMEOUT') return 'refused'
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
      controls: [
        await sees(guest),
        own.control,
        first.control,
        { what: 'a command with WORKDIR=/ runs', held: ordinary === 'held' },
      ],
      leak: 'The guest has open files of the engine.',
      contained: 'No descriptor is inherited, and none leads outside.',
    })
  },
)
