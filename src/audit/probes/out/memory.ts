import { controlProcess } from '../../observers/control-process.ts'
import { searchMemory } from '../../observers/memory.ts'
import type { Probe } from '../../probe.ts'
import { conclude } from '../../verdict.ts'

/** The word is put together byte by byte inside, so that it passes through no buffer of the engine as a whole. */
export const memoryRead: Probe = {
  id: 'O07',
  slug: 'out.mem.read',
  direction: 'out',
  asset: 'memory',
  observers: ['determined-root'],
  question: "Can the host's root read a container's memory?",
  method:
    "A random word is put together inside, in memory only; /proc/PID/mem of the container's and the engine's processes is searched.",
  references: ['CWE-316', 'T1003.007', 'kata#9569'],
  remedy: 'No level hides memory from determined root without hardware for confidential computing.',
  interference: 'none',
  readOnly: false,
  timeout: 60_000,
  async run({ world, target, signal }) {
    const { canary, subject, guest } = await world()
    await using control = await controlProcess()
    const pids = [...new Set([...(await subject.pids()), ...(await target.enginePids())])]
    const alive = await guest.syscall('getpid')
    const search = await searchMemory(pids, [canary('memory')], signal)
    const own = await searchMemory([control.pid], [control.argv], signal)
    return conclude({
      seen: search.hits.map(({ where }) => ({ kind: 'process', text: where })),
      controls: [
        { what: 'the process that holds the word answers', held: alive.value > 0n },
        { what: "the observer finds a word in a control process's memory", held: own.hits.length > 0 },
        { what: `the memory of ${search.processes} processes was read`, held: search.processes > 0 },
        { what: 'the search came to its end', held: search.complete },
      ],
      leak: "Root reads the container's memory through the host's processes.",
      contained: `${Math.round(search.bytes / 2 ** 20)} MiB of ${search.processes} processes do not hold the word.`,
    })
  },
}
