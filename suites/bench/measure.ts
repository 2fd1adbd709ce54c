import { setTimeout as sleep } from 'node:timers/promises'
import { DEWAR } from '../harness/project.ts'
import { findProgram } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { command } from '../harness/command.ts'
import { idOf } from './api-client.ts'
import { kernelLimit } from './kernel-limit.ts'
import { lifeCycle, PHASES, totalOf, type LifeCycle } from './life-cycle.ts'
import { family, helpers, totalPss } from './memory.ts'
import type { Programs } from './programs.ts'
import { runRepeat } from './run-repeat.ts'
import { summarise, type Absence, type Finding } from './sample.ts'
import { SmallClient } from './small-client.ts'
import type { Subject } from './subjects.ts'

/** How often each thing is done. */
export interface Effort {
  readonly runs: number
  readonly atOnce: number
  readonly pulls: number
  readonly containers: number
}

export interface Report {
  readonly findings: Finding[]
  readonly absences: Absence[]
}

/** The bare kernel, and the low-level runtimes with a bundle ready. */
export async function measureRuntimes(programs: Programs, effort: Effort, report: Report): Promise<void> {
  const group = 'run /bin/true, bundle ready'
  const limit = await kernelLimit(programs, effort.runs + 3)
  const add = (subject: string, values: readonly number[], note: string) =>
    report.findings.push({ group, subject, unit: 'ms', summary: summarise(values), note })
  add(
    'limit (bare C)',
    limit.slice(3),
    'clone3 with seven namespaces, overlay, /proc, /sys, /dev, pivot, exec, wait',
  )
  const candidates = [
    {
      name: 'bwrap',
      argv: [
        'bwrap',
        '--unshare-all',
        '--ro-bind',
        programs.rootfs,
        '/',
        '--proc',
        '/proc',
        '--dev',
        '/dev',
        '/bin/true',
      ],
      wrap: [],
    },
    // crun refuses hybrid cgroups unless the v2 hierarchy is out of its sight.
    {
      name: 'crun',
      argv: ['crun', 'run', 'dwt-bench'],
      wrap: ['unshare', '-m', 'sh', '-c', 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', '-'],
    },
    { name: 'runc', argv: ['runc', 'run', 'dwt-bench'], wrap: [] },
  ]
  for (const { name, argv, wrap } of candidates) {
    try {
      if (findProgram(name) === undefined) throw new Error('not installed')
      add(
        name,
        await runRepeat(programs.repeat, effort.runs, argv, { cwd: programs.bundle, wrap }),
        'started by a small C process',
      )
    } catch (error) {
      report.absences.push({ group, subject: name, reason: firstLines(error) })
    }
  }
}

/** ms before a life that is one of now and then: what an engine does behind the one before is done by then. */
const PAUSE = 50

/**
 * create + start + wait + remove through the API, in turns, so that all have the same weather: with the limit too, which
 * waits as long before each of its containers as everybody.
 */
export async function measureLifeCycles(
  programs: Programs,
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
): Promise<void> {
  for (const network of ['none', 'bridge'] as const) {
    const group = `create+start+wait+remove through the API, network ${network}`
    const able = await ableSubjects(subjects, network, group, report)
    await using clients = new Scope()
    const lives = able.map(({ name, api, socket }) => ({
      name,
      api,
      client: clients.use(new SmallClient(programs.life, socket, 'busybox', network)),
      list: new Array<LifeCycle>(),
      small: new Array<LifeCycle>(),
    }))
    const limit: number[] = []
    for (let run = 0; run < effort.runs; run++) {
      limit.push(...(await kernelLimit(programs, 2, PAUSE)).slice(1))
      for (const { api, list, client, small } of lives) {
        await sleep(PAUSE)
        list.push(await lifeCycle(api, 'busybox', network))
        await sleep(PAUSE)
        small.push(await client.lifeCycle())
      }
    }
    const bySmall = `${group}, by a small client (life.c) instead of Node’s`
    for (const title of [group, bySmall])
      report.findings.push({
        group: title,
        subject: 'limit (bare C)',
        unit: 'ms',
        summary: summarise(limit),
      })
    for (const { name, list, small } of lives)
      report.findings.push(lifeFinding(group, name, list), lifeFinding(bySmall, name, small))
    // What an engine does ahead, while nobody asks, it has no time for here.
    const busy = `${group}, one right after the other, by a small client`
    const bare = await kernelLimit(programs, effort.runs + 3)
    for (const title of [busy, atOnceGroup(network, effort)])
      report.findings.push({
        group: title,
        subject: 'limit (bare C)',
        unit: 'ms',
        summary: summarise(bare.slice(3)),
        note: 'one right after the other',
      })
    for (const { name, client } of lives) {
      const list: LifeCycle[] = []
      while (list.length < effort.runs) list.push(await client.lifeCycle())
      report.findings.push(lifeFinding(busy, name, list))
    }
    for (const subject of able) await measureAtOnce(subject, network, effort, report)
  }
}

function lifeFinding(group: string, subject: string, lives: readonly LifeCycle[]): Finding {
  const note = PHASES.map(
    (phase) => `${phase} ${summarise(lives.map((life) => life[phase])).median.toFixed(1)}`,
  )
  return { group, subject, unit: 'ms', summary: summarise(lives.map(totalOf)), note: note.join(', ') }
}

async function ableSubjects(
  subjects: readonly Subject[],
  network: 'none' | 'bridge',
  group: string,
  report: Report,
) {
  const able: Subject[] = []
  for (const subject of subjects) {
    try {
      await warmUp(subject, network)
      able.push(subject)
    } catch (error) {
      report.absences.push({ group, subject: subject.name, reason: firstLines(error) })
    }
  }
  return able
}

/**
 * A warm engine has done this before: of a program that is compiled while it runs the first hundred times are slower (a
 * plan takes 1.3 ms to make and encode, then 0.45, in the end 0.17). The same rule for everybody.
 */
async function warmUp({ api }: Subject, network: 'none' | 'bridge'): Promise<void> {
  const until = performance.now() + WARM_MS
  for (let warm = 0; warm < 5 || (warm < WARM_RUNS && performance.now() < until); warm++)
    await lifeCycle(api, 'busybox', network)
}

const WARM_RUNS = 200
const WARM_MS = 3000

const atOnceGroup = (network: string, { atOnce }: Effort): string =>
  `${atOnce} at once, network ${network}, per container`

async function measureAtOnce(subject: Subject, network: 'none' | 'bridge', effort: Effort, report: Report) {
  const { atOnce } = effort
  const group = atOnceGroup(network, effort)
  try {
    const rounds: number[] = []
    for (let round = 0; round < 3; round++) {
      const began = performance.now()
      await Promise.all(Array.from({ length: atOnce }, () => lifeCycle(subject.api, 'busybox', network)))
      rounds.push((performance.now() - began) / atOnce)
    }
    report.findings.push({ group, subject: subject.name, unit: 'ms', summary: summarise(rounds) })
  } catch (error) {
    report.absences.push({ group, subject: subject.name, reason: firstLines(error) })
  }
}

export async function measureExec(
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
): Promise<void> {
  const group = 'exec of /bin/true through the API'
  for (const subject of subjects) {
    try {
      const values = await execTimes(subject, effort.runs + 3)
      report.findings.push({ group, subject: subject.name, unit: 'ms', summary: summarise(values.slice(3)) })
    } catch (error) {
      report.absences.push({ group, subject: subject.name, reason: firstLines(error) })
    }
  }
}

async function execTimes({ api }: Subject, count: number): Promise<number[]> {
  const id = await sleeper(api.send.bind(api))
  const values: number[] = []
  for (let run = 0; run < count; run++) {
    const began = performance.now()
    const exec = idOf(
      await api.send('POST', `/containers/${id}/exec`, { Cmd: ['/bin/true'], AttachStdout: true }),
    )
    await api.send('POST', `/exec/${exec}/start`, { Detach: false })
    await api.send('GET', `/exec/${exec}/json`)
    values.push(performance.now() - began)
  }
  await api.send('DELETE', `/containers/${id}?force=1`)
  return values
}

type Send = (method: string, path: string, body?: unknown) => Promise<string>

async function sleeper(send: Send, network = 'none'): Promise<string> {
  const body = { Image: 'busybox', Cmd: ['sleep', '3600'], HostConfig: { NetworkMode: network } }
  const id = idOf(await send('POST', '/containers/create', body))
  await send('POST', `/containers/${id}/start`)
  return id
}

export async function measurePulls(
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
): Promise<void> {
  const image = '127.0.0.1:5000/layers3'
  const able = subjects.filter(({ server }) => server !== undefined)
  const times = new Map<Subject, number[]>(able.map((subject) => [subject, []]))
  for (let round = 0; round < effort.pulls; round++) {
    for (const [{ api, name }, values] of times) {
      await command(['sync'])
      const began = performance.now()
      const answer = await api.send(
        'POST',
        `/images/create?fromImage=${encodeURIComponent(image)}&tag=latest`,
      )
      values.push(performance.now() - began)
      if (answer.includes('"error"')) throw new Error(`pulling on ${name}: ${answer.slice(-300)}`)
      await api.send('DELETE', `/images/${image}?force=1`)
    }
  }
  const group = 'cold pull of 100 MB in 3 layers from a loopback registry'
  for (const [{ name }, values] of times)
    report.findings.push({ group, subject: name, unit: 'ms', summary: summarise(values) })
}

/** 100 MB of lines of 100 bytes to the log, and read back, in turns. */
export async function measureLogs(
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
): Promise<void> {
  const megabytes = effort.runs < 50 ? 20 : 100
  const speeds = new Map<Subject, LogSpeed[]>(
    subjects.filter(({ server }) => server !== undefined).map((subject) => [subject, []]),
  )
  for (let round = 0; round < LOG_ROUNDS; round++)
    for (const [subject, list] of speeds) list.push(await logSpeed(subject, megabytes))
  for (const way of ['write', 'read back'] as const)
    for (const [{ name }, list] of speeds)
      report.findings.push({
        group: `log of ${megabytes} MB: ${way}`,
        subject: name,
        unit: 'MB/s',
        summary: summarise(list.map((speed) => speed[way])),
      })
}

const LOG_ROUNDS = 3

/** MB/s. */
type LogSpeed = Readonly<Record<'write' | 'read back', number>>

async function logSpeed({ api, name }: Subject, megabytes: number): Promise<LogSpeed> {
  const script = `yes "$(head -c 99 /dev/zero | tr '\\0' x)" | head -c ${megabytes * 1e6}`
  const body = { Image: 'busybox', Cmd: ['sh', '-c', script], HostConfig: { NetworkMode: 'none' } }
  const id = idOf(await api.send('POST', '/containers/create', body))
  const began = performance.now()
  await api.send('POST', `/containers/${id}/start`)
  await api.send('POST', `/containers/${id}/wait`)
  const written = performance.now()
  const bytes = await api.drain(`/containers/${id}/logs?stdout=1&stderr=1`)
  const read = performance.now()
  await api.send('DELETE', `/containers/${id}`)
  // Eight bytes of header per line in the multiplexed stream.
  if (bytes < megabytes * 1.08e6) throw new Error(`reading the log on ${name}: ${bytes} bytes came back`)
  return { write: (megabytes * 1000) / (written - began), 'read back': (megabytes * 1000) / (read - written) }
}

/** PSS of all processes of an engine, and how much each idle container adds. */
export async function measureMemory(
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
): Promise<void> {
  for (const { api, name, server } of subjects) {
    if (server === undefined) continue
    const send = api.send.bind(api)
    const core = await family(server.process.pid)
    const before = new Set(await helpers(server.folder))
    const idle = await totalPss(core)
    const add = (group: string, kB: number, note: string) =>
      report.findings.push({ group, subject: name, unit: 'kB', summary: summarise([kB]), note })
    add('memory of the idle engine (PSS)', idle, `${core.length} processes`)
    const ids: string[] = []
    for (const count of [1, effort.containers]) {
      while (ids.length < count) ids.push(await sleeper(send))
      // What was begun for one more waits 10 s for it (src/engine/ready.ts).
      await sleep(11_000)
      const own = (await helpers(server.folder)).filter((pid) => !before.has(pid))
      const shims = await totalPss(own)
      const growth = Math.max(0, (await totalPss(core)) - idle)
      add(
        `memory per idle container, ${count} of them (PSS)`,
        (shims + growth) / count,
        `shims ${(shims / count).toFixed(0)} kB, engine ${(growth / count).toFixed(0)} kB each`,
      )
    }
    for (const id of ids) await send('DELETE', `/containers/${id}?force=1`)
  }
}

/** How long a command line takes to do nothing, beside bare Node. */
export async function measureClients(
  programs: Programs,
  subjects: readonly Subject[],
  effort: Effort,
  report: Report,
) {
  const docker = findProgram('docker') ?? 'docker'
  const env = { DOCKER_HOST: '', DEWAR_HOST: '' }
  const ours = subjects.find(({ name }) => name === 'dewar')?.server
  if (ours !== undefined)
    Object.assign(env, { DOCKER_HOST: `unix://${ours.socket}`, DEWAR_HOST: `unix://${ours.socket}` })
  const rows = [
    ['start of a client', 'node -e 0', [process.execPath, '-e', '0']],
    ['start of a client', 'dewar --version', [DEWAR, '--version']],
    ['start of a client', 'docker --version', [docker, '--version']],
    ['list containers', 'dewar ps', [DEWAR, 'ps']],
    ['list containers', 'docker ps', [docker, 'ps']],
    [
      'run --rm --network none busybox true',
      'dewar',
      [DEWAR, 'run', '--rm', '--network', 'none', 'busybox', 'true'],
    ],
    [
      'run --rm --network none busybox true',
      'docker',
      [docker, 'run', '--rm', '--network', 'none', 'busybox', 'true'],
    ],
  ] as const
  for (const [group, subject, argv] of rows) {
    if (group !== 'start of a client' && ours === undefined) continue
    try {
      const values = await runRepeat(programs.repeat, Math.ceil(effort.runs / 2), argv, { env })
      report.findings.push({ group, subject, unit: 'ms', summary: summarise(values) })
    } catch (error) {
      report.absences.push({ group, subject, reason: firstLines(error) })
    }
  }
}

function firstLines(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .split('\n')
    .slice(0, 4)
    .join(' ')
    .slice(0, 400)
}
