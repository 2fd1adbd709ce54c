/** What of the engine's own program a guest gets hold of while a command is executed inside. */
import { O_WRONLY } from '../../guest-files.ts'
import type { Answer, Call, Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import { PROGRAM } from '../../target.ts'
import { conclude } from '../../verdict.ts'
import { insideProbe, sees } from './inside.ts'

/** Joins that are watched at least: what was seen of one may have been a copy, and of another the file. */
const FEWEST_JOINS = 4
/** ms of further joins while none was seen: some are inside for a tenth of a millisecond only. */
const PATIENCE = 20_000
/** Process numbers ahead: each join takes some, threads too. */
const WATCHED = 32
/** ms of one time of watching. */
const LOOK = 50
/** Calls per number. */
const CALLS = 3

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
    const joined = new Set<string>()
    const until = performance.now() + PATIENCE
    let last = watcher.pid
    for (let join = 0; join < FEWEST_JOINS || (joined.size === 0 && performance.now() < until); join += 1) {
      signal.throwIfAborted()
      const arrival = guest(subject)
      for await (const { path, error } of programsThatJoin(watcher, last + 1, arrival)) {
        joined.add(path === '' ? `one that may not be looked at: ${error}` : path)
        const writable = error === '' || error === 'ETXTBSY'
        if (writable && path !== '' && !/^\/memfd|\(deleted\)$/.test(path)) seen.set(path, error)
      }
      await using arrived = await arrival
      last = Math.max(last, arrived.pid)
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

interface Joining {
  /** Empty when it may not be looked at. */
  readonly path: string
  /** Of opening it for writing. */
  readonly error: string
}

/** What is seen of the programs of process numbers from `first` on, until the guest that is on its way has arrived. */
async function* programsThatJoin(
  watcher: Guest,
  first: number,
  arrival: Promise<unknown>,
): AsyncGenerator<Joining> {
  let there = false
  const over = (): void => void (there = true)
  void arrival.then(over, over)
  const calls = watchCalls(first)
  while (!there) {
    // In the watcher itself: a child of its own would be one of the new processes.
    const { answers } = await watcher.repeat(calls, { milliseconds: LOOK, processes: 0 })
    yield* answers.flatMap(programsIn)
  }
}

/** Looks at each program, opens it for writing, and lets go of it, so that it can be executed again. */
function watchCalls(first: number): readonly Call[] {
  return Array.from({ length: WATCHED }, (_, index) => `/proc/${first + index}/exe`).flatMap(
    (path, index) => [
      { name: 'readlinkat', args: [-100, { in: path }, { out: 256, short: true }, 256], finds: true },
      { name: 'openat', args: [-100, { in: path }, O_WRONLY] },
      { name: 'close', args: [{ result: CALLS * index + 1 }] },
    ],
  )
}

/** Of one round of watchCalls; without the guest that has arrived. */
function programsIn(answers: readonly Answer[]): readonly Joining[] {
  return answers.flatMap((link, index) => {
    const opened = answers[index + 1]
    if (index % CALLS !== 0 || opened === undefined || ['ENOENT', 'ESRCH'].includes(link.error)) return []
    const path = link.out[0]?.toString() ?? ''
    return path === PROGRAM ? [] : [{ path, error: opened.error }]
  })
}
