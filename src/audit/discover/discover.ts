/**
 * Finds by itself which files inside carry the host's state: reads all that can be read inside and on the host, four
 * times, lets time pass and makes the host busy in between, and compares. No list of files is asked.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { openGuest } from '../guest.ts'
import type { Guest } from '../guest-types.ts'
import type { Target } from '../target.ts'
import type { Discovery, Survey } from '../types.ts'
import { makeBusy } from './busy.ts'
import { judge } from './judge.ts'
import type { Moment } from './judge.ts'
import { knownProbes, walk } from './paths.ts'
import { piecesOf, readMany } from './read.ts'
import { isConstant, openHost, type Reference } from './reference.ts'

export interface DiscoverOptions {
  /** Path of the static program on the host. */
  readonly program: string
  /** For a file that is written and removed. */
  readonly folder: string
  readonly signal: AbortSignal
  /** Of another machine: what is equal there too is a constant of the kernel. */
  readonly reference?: Reference
}

/** ms in which time passes and the audit does nothing. */
const PAUSE = 1500

export interface Discovered {
  readonly survey: Survey
  readonly discoveries: readonly Discovery[]
}

/** Makes a container of its own on the target and removes it again. Takes about a minute. */
export async function discover(target: Target, options: DiscoverOptions): Promise<Discovered> {
  await using subject = await target.create()
  await using inside = await openGuest(await subject.exec())
  return await discoverIn(inside, target.report.name, options)
}

/** The same with any guest: its files against this host's. */
export async function discoverIn(
  inside: Guest,
  target: string,
  { program, folder, signal, reference }: DiscoverOptions,
): Promise<Discovered> {
  await using host = await openHost(program)
  const blocking = new Set<string>()
  const { files, cut } = await walk(inside, signal)
  const readableInside = await nonEmpty(inside, files, blocking, signal)
  const paths = await nonEmpty(host, readableInside, blocking, signal)
  const look = (): Promise<ReadonlyMap<string, Moment>> => lookAt(inside, host, paths, blocking, signal)
  const start = await look()
  await sleep(PAUSE, undefined, { signal })
  const idle = await look()
  const calm = await makeBusy(program, folder)
  const busy = await look().finally(calm)
  await sleep(PAUSE, undefined, { signal })
  const later = await look()
  const constants = new Set(reference?.contents)
  let constant = 0
  const found = paths.flatMap((path): readonly Discovery[] => {
    const [one, two, three, four] = [start, idle, busy, later].map((moments) => moments.get(path))
    if (!one || !two || !three || !four) return []
    const judgement = judge({ start: one, idle: two, busy: three, later: four })
    if (judgement === undefined) return []
    if (judgement.kind === 'equal-value' && isConstant(constants, path, one.inside)) {
      constant += 1
      return []
    }
    return [{ target, path, ...judgement, known: knownProbes(path) }]
  })
  const survey = { target, files: files.length, compared: paths.length, cut, blocked: [...blocking] }
  return {
    survey: reference === undefined ? survey : { ...survey, reference: reference.kernel, constant },
    discoveries: onePerKind(found),
  }
}

async function nonEmpty(
  guest: Guest,
  paths: readonly string[],
  blocking: Set<string>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found: string[] = []
  for (const some of piecesOf(paths)) {
    signal.throwIfAborted()
    for (const [path, content] of await readMany(guest, some, blocking)) if (content !== '') found.push(path)
  }
  return found
}

/** Few files at a time, so that the host's two readings are close. */
async function lookAt(
  inside: Guest,
  host: Guest,
  paths: readonly string[],
  blocking: Set<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Moment>> {
  const moments = new Map<string, Moment>()
  for (const some of piecesOf(paths)) {
    signal.throwIfAborted()
    const before = await readMany(host, some, blocking)
    const within = await readMany(inside, some, blocking)
    const after = await readMany(host, some, blocking)
    for (const path of some)
      moments.set(path, {
        before: before.get(path) ?? '',
        inside: within.get(path) ?? '',
        after: after.get(path) ?? '',
      })
  }
  return moments
}

/** The same file of many devices, processors, caches or queues is one discovery. */
function onePerKind(found: readonly Discovery[]): readonly Discovery[] {
  const groups = new Map<string, Discovery[]>()
  for (const one of found) {
    const alike = one.path
      .replaceAll(/\d+/g, '*')
      .replace(/(\/[^/]+\/[^/]+\/[^/]+)\/[^/]+(\/[^/]+)$/, '$1/*$2')
    const shape = `${one.known.join()} ${alike}`
    groups.set(shape, [...(groups.get(shape) ?? []), one])
  }
  return [...groups.values()].flatMap(([first, ...more]) => {
    if (first === undefined) return []
    return [
      more.length === 0 ? first : { ...first, sample: `${first.sample} (and ${more.length} files like it)` },
    ]
  })
}
