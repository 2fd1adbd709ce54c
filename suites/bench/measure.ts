import { setTimeout as sleep } from 'node:timers/promises'
import { DEWAR } from '../harness/project.ts'
import { findProgram } from '../harness/requirement.ts'
import { command } from '../harness/command.ts'
import { idOf } from './api-client.ts'
import { kernelLimit } from './kernel-limit.ts'
import { family, helpers, totalPss } from './memory.ts'
import type { Programs } from './programs.ts'
import { runRepeat } from './run-repeat.ts'
import { summarise, type Absence, type Finding } from './sample.ts'
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

export function firstLines(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .split('\n')
    .slice(0, 4)
    .join(' ')
    .slice(0, 400)
}
