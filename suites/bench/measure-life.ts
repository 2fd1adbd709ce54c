/** create + start + wait + remove of /bin/true through the API: now and then, one right after the other, many at once. */
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from '../harness/command.ts'
import { kernelLimit, kernelLimitAtOnce } from './kernel-limit.ts'
import { lifeCycle, PHASES, totalOf, type LifeCycle } from './life-cycle.ts'
import { firstLines, type Effort, type Report } from './measure.ts'
import { planAlone } from './plan-alone.ts'
import type { Programs } from './programs.ts'
import { summarise, type Finding } from './sample.ts'
import { SmallClient } from './small-client.ts'
import type { Subject } from './subjects.ts'

type Network = 'none' | 'bridge'

/** ms before a life that is one of now and then: what an engine does behind the one before is done by then. */
const PAUSE = 50
/** A warm engine has done this before: a program that is compiled while it runs is slower the first hundreds of times. */
const WARM_RUNS = 400
/** ms; five lives at least. Dewar gets to its 400 in it, dockerd to about 25, which need no compiler. */
const WARM_TIME = 5000
/** Of many at once. */
const ROUNDS = 3

/**
 * Each engine in turns with bare C, which waits as long before each of its containers, and with nobody else: what another
 * engine still does behind its own life (podman for 0.2 s) is not to be this one's weather, and an engine that was not
 * asked for the seconds of the others' lives is not warm. So each has a limit of its own to be compared with.
 */
export async function measureLifeCycles(
  programs: Programs,
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
): Promise<void> {
  for (const network of ['none', 'bridge'] as const)
    for (const subject of subjects) {
      try {
        await warmUp(subject, network)
        // What the engines' own starts and pulls wrote goes to the disk in the next half minute, or now.
        await command(['sync'])
        await measureNowAndThen(programs, subject, network, effort, report)
        await measureBusy(programs, subject, network, effort, report)
      } catch (error) {
        report.absences.push({
          group: groupOf(network),
          subject: subject.name,
          reason: firstLines(error),
        })
      }
    }
}

const groupOf = (network: Network): string => `create+start+wait+remove through the API, network ${network}`

/** The same rule for everybody. */
async function warmUp({ api }: Subject, network: Network): Promise<void> {
  const until = performance.now() + WARM_TIME
  for (let warm = 0; warm < 5 || (warm < WARM_RUNS && performance.now() < until); warm++)
    await lifeCycle(api, 'busybox', network)
}

async function measureNowAndThen(
  programs: Programs,
  { name, api, socket }: Subject,
  network: Network,
  { runs }: Effort,
  report: Report,
): Promise<void> {
  await using client = new SmallClient(programs.life, socket, 'busybox', network)
  const bare: number[] = []
  const lives: LifeCycle[] = []
  const small: LifeCycle[] = []
  while (bare.length < runs) {
    bare.push(...(await kernelLimit(programs, 2, PAUSE)).slice(1))
    await sleep(PAUSE)
    lives.push(await lifeCycle(api, 'busybox', network))
    await sleep(PAUSE)
    small.push(await client.lifeCycle())
  }
  const group = groupOf(network)
  report.findings.push(
    lifeFinding(group, name, lives, bare),
    lifeFinding(`${group}, by a small client (life.c) instead of Node’s`, name, small, bare),
  )
}

/** What an engine does ahead, while nobody asks, it has no time for here. */
async function measureBusy(
  programs: Programs,
  { name, api, socket }: Subject,
  network: Network,
  { runs, atOnce }: Effort,
  report: Report,
): Promise<void> {
  await using client = new SmallClient(programs.life, socket, 'busybox', network)
  const bare = (await kernelLimit(programs, runs + 3)).slice(3)
  const list: LifeCycle[] = []
  while (list.length < runs) list.push(await client.lifeCycle())
  const group = `${groupOf(network)}, one right after the other, by a small client`
  report.findings.push(lifeFinding(group, name, list, bare))
  const byNode: number[] = []
  const byC: number[] = []
  const bareAtOnce: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    bareAtOnce.push(await kernelLimitAtOnce(programs, atOnce))
    const began = performance.now()
    await Promise.all(Array.from({ length: atOnce }, () => lifeCycle(api, 'busybox', network)))
    byNode.push((performance.now() - began) / atOnce)
    byC.push(await client.livesAtOnce(atOnce))
  }
  const limit = summarise(bareAtOnce)
  const add = (how: string, rounds: readonly number[]) =>
    report.findings.push({
      group: `${atOnce} at once, network ${network}, per container${how}`,
      subject: name,
      unit: 'ms',
      summary: summarise(rounds),
      limit,
    })
  add('', byNode)
  add(', by small clients', byC)
}

/** What of a life is the kernel's and the core's: the part of the busy ones that no engine could be without. */
export async function measurePlanAlone(
  programs: Programs,
  { runs, atOnce }: Effort,
  report: Report,
): Promise<void> {
  const bare = (await kernelLimit(programs, runs + 3)).slice(3)
  const bareAtOnce: number[] = []
  while (bareAtOnce.length < ROUNDS) bareAtOnce.push(await kernelLimitAtOnce(programs, atOnce))
  const times = await planAlone(programs, runs, { atOnce, rounds: ROUNDS })
  const add = (how: string, values: readonly number[], limit: readonly number[]) =>
    report.findings.push({
      group: `/bin/true by a container’s plan alone, no engine, network none, ${how}`,
      subject: 'dewar-core',
      unit: 'ms',
      summary: summarise(values),
      limit: summarise(limit),
    })
  add('one right after the other', times.oneByOne, bare)
  add(`${atOnce} at once, per container`, times.atOnce, bareAtOnce)
}

function lifeFinding(
  group: string,
  subject: string,
  lives: readonly LifeCycle[],
  bare: readonly number[],
): Finding {
  const note = PHASES.map(
    (phase) => `${phase} ${summarise(lives.map((life) => life[phase])).median.toFixed(1)}`,
  )
  return {
    group,
    subject,
    unit: 'ms',
    summary: summarise(lives.map(totalOf)),
    limit: summarise(bare),
    note: note.join(', '),
  }
}
