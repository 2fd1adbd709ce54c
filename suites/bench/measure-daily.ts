/** A day's work with docker's own client and Compose on each engine that has a whole server: the same client, in turns. */
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Server } from '../harness/server.ts'
import { trixie } from '../harness/trixie.ts'
import { idOf } from './api-client.ts'
import type { Effort, Report } from './measure.ts'
import { summarise } from './sample.ts'
import type { Subject } from './subjects.ts'

/** The words for --only, and what each measures. */
export const DAILY: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  'docker-run': dockerRuns,
  build: builds,
  cp: copies,
  list: lists,
  compose: composes,
  events: eventFanOut,
}

interface Whole extends Subject {
  readonly server: Server
}

export interface Bench {
  readonly subjects: readonly Whole[]
  readonly effort: Effort
  readonly report: Report
}

export function benchOf(subjects: readonly Subject[], effort: Effort, report: Report): Bench {
  const whole = subjects.flatMap(({ server, ...rest }) => (server === undefined ? [] : [{ ...rest, server }]))
  return { subjects: whole, effort, report }
}

type Once = (subject: Whole, round: number) => Promise<number>

/** Rounds in which every engine has its turn, after one that does not count. Dewar's line says how many times dockerd. */
async function inTurns(
  { subjects, report }: Bench,
  group: string,
  rounds: number,
  once: Once,
): Promise<void> {
  const times = new Map<Whole, number[]>(subjects.map((subject) => [subject, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const [subject, list] of times) {
      const ms = await once(subject, round)
      if (round > 0) list.push(ms)
    }
  }
  const median = (name: string): number | undefined => {
    const found = [...times].find(([subject]) => subject.name === name)
    return found === undefined ? undefined : summarise(found[1]).median
  }
  const [ours, theirs] = [median('dewar'), median('dockerd')]
  for (const [{ name }, list] of times) {
    const beside = name === 'dewar' && ours !== undefined && theirs !== undefined
    const note = beside ? { note: `${(ours / theirs).toFixed(2)}× dockerd` } : {}
    report.findings.push({ group, subject: name, unit: 'ms', summary: summarise(list), ...note })
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function dockerRuns(bench: Bench): Promise<void> {
  const rounds = Math.max(5, Math.ceil(bench.effort.runs / 5))
  for (const network of ['none', 'bridge'])
    await inTurns(bench, `docker run --rm --network ${network} busybox true`, rounds, ({ server }) =>
      timed(() => server.docker('run', '--rm', '--network', network, 'busybox', 'true')),
    )
}

const DOCKERFILE = `FROM busybox
ENV KIND=bench
WORKDIR /app
COPY first.txt .
RUN cat first.txt > copied && echo $KIND
COPY second.txt third/
RUN mkdir -p data && for i in 1 2 3 4 5 6 7 8 9; do echo $i > data/$i; done
RUN rm data/9
LABEL step=nine
CMD ["cat", "copied"]
`

async function builds(bench: Bench): Promise<void> {
  const rounds = Math.max(3, Math.ceil(bench.effort.runs / 20))
  const build = async ({ server }: Whole, ...flags: string[]): Promise<number> => {
    const folder = join(server.folder, 'bench-context')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'Dockerfile'), DOCKERFILE)
    for (const name of ['first.txt', 'second.txt']) await writeFile(join(folder, name), `${name}\n`)
    const argv = ['docker', 'build', '-q', ...flags, '-t', 'bench', folder]
    return timed(() => server.run(argv, { check: true, env: { DOCKER_BUILDKIT: '0' } }))
  }
  const name = 'docker build of 10 steps (classic builder)'
  await inTurns(bench, `${name}, cold`, rounds, (subject) => build(subject, '--no-cache'))
  await inTurns(bench, `${name}, cached`, rounds, (subject) => build(subject))
}

async function copies(bench: Bench): Promise<void> {
  const megabytes = bench.effort.runs < 50 ? 50 : 200
  const bytes = randomBytes(megabytes * 1_000_000)
  const containers = new Map<Whole, string>()
  for (const subject of bench.subjects) {
    await writeFile(join(subject.server.folder, 'big'), bytes)
    const body = { Image: 'busybox', Cmd: ['sleep', '3600'], HostConfig: { NetworkMode: 'none' } }
    const id = idOf(await subject.api.send('POST', '/containers/create', body))
    await subject.api.send('POST', `/containers/${id}/start`)
    containers.set(subject, id)
  }
  const cp = ({ server }: Whole, from: string, to: string) => timed(() => server.docker('cp', '-q', from, to))
  const idFor = (subject: Whole) => containers.get(subject) ?? ''
  const file = (subject: Whole) => join(subject.server.folder, 'big')
  await inTurns(bench, `docker cp of ${megabytes} MB into a container`, 5, (subject) =>
    cp(subject, file(subject), `${idFor(subject)}:/big`),
  )
  await inTurns(bench, `docker cp of ${megabytes} MB out of a container`, 5, (subject) =>
    cp(subject, `${idFor(subject)}:/big`, `${file(subject)}-back`),
  )
  for (const [subject, id] of containers) {
    await subject.api.send('DELETE', `/containers/${id}?force=1`)
    for (const name of [file(subject), `${file(subject)}-back`]) await rm(name, { force: true })
  }
}

async function lists(bench: Bench): Promise<void> {
  const count = bench.effort.runs < 50 ? 100 : 500
  const ids = new Map<Whole, string[]>()
  for (const subject of bench.subjects) {
    const body = { Image: 'busybox', Cmd: ['true'], Labels: { a: 'b' }, HostConfig: { NetworkMode: 'none' } }
    const made: string[] = []
    for (let n = 0; n < count; n += 1)
      made.push(idOf(await subject.api.send('POST', '/containers/create', body)))
    ids.set(subject, made)
  }
  await inTurns(bench, `list of ${count} containers through the API`, 20, ({ api }) =>
    timed(() => api.send('GET', '/containers/json?all=1')),
  )
  await inTurns(bench, `docker ps -a of ${count} containers`, 10, ({ server }) =>
    timed(() => server.docker('ps', '-a', '-q')),
  )
  for (const [subject, made] of ids)
    for (const id of made) await subject.api.send('DELETE', `/containers/${id}`)
}

const PROJECT = `services:
  web: { image: busybox, command: [sleep, "3600"], depends_on: [db, cache] }
  db: { image: busybox, command: [sleep, "3600"], volumes: ["data:/data"] }
  cache: { image: busybox, command: [sleep, "3600"] }
volumes: { data: {} }
`

async function composes(bench: Bench): Promise<void> {
  const programs = await trixie()
  if (typeof programs === 'string') throw new Error(programs)
  const up: Once = async ({ server }) => {
    const file = join(server.folder, 'compose.yaml')
    await writeFile(file, PROJECT)
    const compose = (...args: string[]) =>
      server.run([programs.compose, '--progress', 'quiet', '-p', 'bench', '-f', file, ...args], {
        check: true,
      })
    const ms = await timed(() => compose('up', '-d'))
    await compose('down', '-v', '-t', '0')
    return ms
  }
  await inTurns(bench, 'docker compose up -d of three services', 5, up)
}

/** From the first event to the last listener's last. */
async function eventFanOut(bench: Bench): Promise<void> {
  const [listeners, events] = [100, 200]
  await inTurns(bench, `${events} events to ${listeners} listeners`, 5, async ({ api, server }) => {
    const body = { Image: 'busybox', Cmd: ['sleep', '3600'], HostConfig: { NetworkMode: 'none' } }
    const id = idOf(await api.send('POST', '/containers/create', body))
    await api.send('POST', `/containers/${id}/start`)
    // An event that touches no disk, so that telling it is what is measured.
    const happen = (what: string) => api.send('POST', `/containers/${id}/exec`, { Cmd: [what] })
    const heard = Array.from({ length: listeners }, () => new Listener(server.socket, events))
    // dockerd sends no headers before the first event.
    while (heard.some(({ open }) => !open)) await happen('warm')
    const ms = await timed(async () => {
      for (let n = 0; n < events; n += 1) await happen('counts')
      await Promise.all(heard.map(({ all }) => all))
    })
    await api.send('DELETE', `/containers/${id}?force=1`)
    return ms
  })
}

class Listener {
  open = false
  /** Resolves when that many of the events that count were heard. */
  readonly all: Promise<void>

  constructor(socketPath: string, events: number) {
    const filters = encodeURIComponent(JSON.stringify({ event: ['exec_create'] }))
    this.all = new Promise((resolve, reject) => {
      const call = request(
        { socketPath, path: `/v1.41/events?filters=${filters}`, agent: false },
        (answer) => {
          this.open = true
          let left = events
          const lines = createInterface({ input: answer })
          lines.on('line', (line) => {
            if (!line.includes('exec_create: counts')) return
            left -= 1
            if (left > 0) return
            resolve()
            call.destroy()
          })
          // It repeats the stream's.
          lines.on('error', reject)
        },
      )
      call.on('error', reject)
      call.end()
    })
    this.all.catch(() => undefined)
  }
}
