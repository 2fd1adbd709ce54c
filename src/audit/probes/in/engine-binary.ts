/** What of the engine's own program a guest gets hold of while a command is executed inside. */
import { O_WRONLY } from '../../guest-files.ts'
import type { Answer, Call } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import { PROGRAM } from '../../target.ts'
import { conclude } from '../../verdict.ts'
import { insideProbe, sees } from './inside.ts'

/** Looks at the programs of the next process numbers, and opens each for writing. */
function watchCalls(from: number, count: number): readonly Call[] {
  return Array.from({ length: count }, (_, index) => `/proc/${from + index}/exe`).flatMap((path) => [
    { name: 'readlinkat', args: [-100, { in: path }, { out: 256, short: true }, 256] },
    { name: 'openat', args: [-100, { in: path }, O_WRONLY] },
  ])
}

export const engineBinary: Probe = insideProbe(
  {
    id: 'I36',
    slug: 'in.engine.binary',
    asset: 'engine',
    question: 'Can a guest get hold of the engine’s own program while a command is executed inside?',
    method:
      'While commands are executed, a watcher inside opens /proc/PID/exe of each new process for writing, without writing.',
    references: ['CVE-2019-5736'],
    remedy: 'Update the runtime; a user namespace.',
    readOnly: false,
    timeout: 45_000,
  },
  async ({ create, guest, signal }) => {
    const subject = await create()
    const watcher = await guest(subject)
    const seen = new Map<string, string>()
    // Programs of processes that join, beside the watcher's own children.
    const joined = new Set<string>()
    let looked = 0
    for (let round = 0; round < MOST_JOINS && (round < 4 || joined.size === 0); round += 1) {
      signal.throwIfAborted()
      const arrival = guest(subject)
      let there = false
      void arrival.then(
        () => (there = true),
        () => (there = true),
      )
      while (!there && !signal.aborted) {
        // Each time of watching takes a number itself.
        const calls = watchCalls(Math.max(2, watcher.pid + looked), WATCHED)
        const { answers } = await watcher.repeat(calls, { times: 40, keep: 'all' })
        looked += 1
        for (const { path, error } of answers.flatMap(programsIn)) {
          if (path === PROGRAM) continue
          joined.add(path === '' ? `one that may not be looked at: ${error}` : path)
          const writable = error === '' || error === 'ETXTBSY'
          if (writable && path !== '' && !/^\/memfd|\(deleted\)$/.test(path)) seen.set(path, error)
        }
      }
      await arrival
    }
    return conclude({
      seen: [...seen].map(([path, error]) => ({
        kind: 'path',
        text: `${path} opens for writing${error === '' ? '' : ` (${error})`}`,
      })),
      controls: [
        await sees(watcher),
        { what: `the watcher saw programs that joined (${[...joined].join(', ')})`, held: joined.size > 0 },
      ],
      leak: 'The guest can write the engine’s program on the host.',
      contained: 'What joins is a copy, or cannot be opened.',
    })
  },
)

const MOST_JOINS = 12
/** Process numbers ahead: each join takes some, threads too. */
const WATCHED = 96

/** Of one round of watchCalls: what is there, and how opening it for writing went. */
function programsIn(
  answers: readonly Answer[],
): readonly { readonly path: string; readonly error: string }[] {
  return answers.flatMap((link, index) => {
    const opened = answers[index + 1]
    if (index % 2 === 1 || opened === undefined || ['ENOENT', 'ESRCH'].includes(link.error)) return []
    return [{ path: link.out[0]?.toString() ?? '', error: opened.error }]
  })
}
