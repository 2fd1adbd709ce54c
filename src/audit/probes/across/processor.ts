/** Processor time between neighbours, and between a neighbour and the engine. */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { contend, inContainers, queuesOf } from '../../contention.ts'
import type { Side } from '../../contention.ts'
import { joinProcessorGroup } from '../../control-group.ts'
import { isFelt } from '../../felt.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { LOADED } from '../../interference.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

/** Many small calls: work of the processor alone. */
const BURST: readonly Call[] = Array.from({ length: 512 }, () => ({ name: 'getppid', args: [] }))

export const cpuHog: Probe = {
  ...across,
  id: 'A01',
  slug: 'across.res.cpu-hog',
  asset: 'resources',
  question: "Does a neighbour that spins on all processors slow another container's work down?",
  method:
    'Two containers want all processors; it is counted what each is given, how long the victim stands in the queue, and whether a limit stops the neighbour.',
  references: ['Matthews 2007', 'CWE-770'],
  remedy: 'Give containers --cpus or --cpu-shares.',
  interference: 'bounded',
  async run(context) {
    const { victim, neighbour, inVictim, inNeighbour } = await neighbours(context)
    const own = await context.guest(victim)
    const felt = await isFelt({
      what: "the same load in the victim's own container",
      work: () => spin(inVictim, LOADED),
      load: () => spin(own, LOADED),
      ...{ least: 0.5, signal: context.signal },
    })
    return contend({
      victim: inContainers([victim], { demand: (milliseconds) => spin(inVictim, milliseconds) }),
      neighbour: inContainers([neighbour], {
        demand: (milliseconds) => spin(inNeighbour, milliseconds, 2),
      }),
      ...{ most: 1.5, what: 'both spin on all processors', signal: context.signal },
      controls: [felt],
    })
  },
}

/** On all processors; how often 512 calls were made. */
async function spin(guest: Guest, milliseconds: number, times = 1): Promise<number> {
  return (await guest.repeat(BURST, { milliseconds, processes: cpus().length * times })).rounds
}

/** Spins beside the engine, in its control group, as what starts a container works there. */
async function besideEngine(context: ProbeContext): Promise<Side> {
  const host = await context.observer()
  // The file system is the host's, and so is what it says of who reads.
  const pid = Number(await host.readLink('/proc/self'))
  const [engine = process.pid] = await context.target.enginePids()
  joinProcessorGroup(pid, engine)
  const threads = (): readonly string[] => [
    String(pid),
    ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((word) => word !== ''),
  ]
  return {
    demand: (milliseconds) => spin(host, milliseconds),
    ran: () => [...queuesOf(threads()).values()].reduce((sum, { ran }) => sum + ran, 0),
    threads,
    most: () => Number.POSITIVE_INFINITY,
  }
}

export const startStarve: Probe = {
  ...across,
  id: 'A27',
  slug: 'across.engine.start-starve',
  asset: 'availability',
  question: 'Does a busy neighbour keep new containers from starting?',
  method:
    "Processes in the engine's own control group and a container want all processors; it is counted what each is given. A container is started beside them.",
  references: ['Demons 2021'],
  remedy: 'Give containers --cpus, so that the engine keeps its share.',
  interference: 'bounded',
  timeout: 120_000,
  async run(context) {
    const neighbour = await context.create()
    const inNeighbour = await context.guest(neighbour)
    const load = (milliseconds: number): Promise<number> => spin(inNeighbour, milliseconds, 2)
    const loading = load(LOADED * 4)
    // The failure is awaited below.
    loading.catch(() => undefined)
    const began = performance.now()
    const started = await context.create().then(
      () => '',
      (error: unknown) => String(error),
    )
    const took = Math.round(performance.now() - began)
    await loading
    if (started !== '')
      return conclude({
        seen: [{ kind: 'measurement', text: started }],
        controls: [],
        leak: 'Beside a busy neighbour no container starts.',
        contained: '',
      })
    const engine = await besideEngine(context)
    const host = await context.observer()
    const felt = await isFelt({
      what: 'the same load outside all containers',
      work: () => engine.demand(LOADED),
      load: () => spin(host, LOADED),
      ...{ least: 1 / 3, signal: context.signal },
    })
    return contend({
      victim: engine,
      neighbour: inContainers([neighbour], { demand: load }),
      // A start works for a part of its time only: what leaves a third of the processors to it does no harm.
      ...{ most: 3, what: `the engine and a container spin (a start took ${took} ms beside it)` },
      signal: context.signal,
      controls: [felt],
    })
  },
}
