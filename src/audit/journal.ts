/**
 * What an audit planted is written down before it is planted, in one file per run, so that a run that was killed leaves
 * nothing for good: the next one reads the files of dead runs and cleans. Canaries never stand in it.
 */
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DewarError } from '../base/errors.ts'
import { isRecord } from '../client/connect.ts'

export type Planted =
  /** On the engine at this socket. Containers and networks by name: the id is not known before they exist. */
  | {
      readonly kind: 'container' | 'network' | 'volume' | 'image'
      readonly socket: string
      readonly name: string
    }
  /** A container of a bare OCI runtime: its command line up to the verb. */
  | { readonly kind: 'bundle'; readonly argv: readonly string[]; readonly name: string }
  | { readonly kind: 'folder' | 'file' | 'mount' | 'cgroup'; readonly path: string }
  | { readonly kind: 'loop'; readonly path: string }
  | { readonly kind: 'process'; readonly pid: number; readonly start: string }

export interface Journal {
  /** Random, in the name of everything the run makes. */
  readonly run: string
  /** A new folder of this run for whatever it needs, on disk; removed with the run. */
  readonly folder: string
  /** Call before planting; the answer is to be called when it is gone again. */
  plan(planted: Planted): () => void
}

export const JOURNAL_FOLDER = '/var/tmp/dewar-audit'

/** A journal's name, and what it is called until its first line stands in it. */
const JOURNAL = /\.jsonl(\.tmp)?$/
/** Within this (ms) a file without a first line may yet get one; later, whoever was to write it is gone. */
const SOON = 60_000

export interface OpenJournal extends Journal {
  /** What is still there by the journal's account. */
  open(): readonly Planted[]
  /** Removes file and folder; only when nothing is open. */
  close(): void
}

export function openJournal(run: string, folder = JOURNAL_FOLDER): OpenJournal {
  // 0711: observers without privilege must reach the tool's copy, and see nothing else.
  mkdirSync(folder, { recursive: true, mode: 0o711 })
  assertOurs(folder)
  const path = join(folder, `${run}.jsonl`)
  const head = { run, pid: process.pid, start: startOf(process.pid) }
  // Another audit may read at any time: it must not see a journal that does not say yet that its run lives.
  writeFileSync(`${path}.tmp`, `${JSON.stringify(head)}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(`${path}.tmp`, path)
  // Only now: of a run that is killed before, no folder stays that no journal tells of.
  const own = join(folder, run)
  mkdirSync(own, { mode: 0o711 })
  const open = new Map<number, Planted>()
  let next = 0
  return {
    run,
    folder: own,
    plan(planted) {
      const id = (next += 1)
      appendFileSync(path, `${JSON.stringify({ id, planted })}\n`)
      open.set(id, planted)
      return () => {
        if (open.delete(id)) appendFileSync(path, `${JSON.stringify({ gone: id })}\n`)
      }
    },
    open: () => [...open.values()].reverse(),
    close() {
      rmSync(own, { recursive: true, force: true })
      if (open.size === 0) rmSync(path, { force: true })
    },
  }
}

/**
 * What stands in a journal is removed by its next reader, who is root, and /var/tmp is everybody's: whoever made the folder
 * first, or may write into it, could have anything removed.
 */
function assertOurs(folder: string): void {
  const { uid, mode } = lstatSync(folder)
  if ((mode & 0o170000) === 0o040000 && uid === process.geteuid?.() && (mode & 0o022) === 0) return
  throw new DewarError(
    'forbidden',
    `reading the audit's journal in ${folder} failed: others can write there`,
    { remedy: `look at what it holds, remove it (rm -r ${folder}), audit again` },
  )
}

export interface DeadRun {
  readonly run: string
  /** Last planted first. */
  readonly left: readonly Planted[]
  /** Forgets the run: its folder and its file. */
  forget(): void
}

/** Runs that ended without cleaning up: their process is gone, or its pid is another's now. */
export function deadRuns(folder = JOURNAL_FOLDER): readonly DeadRun[] {
  const names = namesIn(folder)
  if (names.length > 0) assertOurs(folder)
  return names
    .filter((name) => JOURNAL.test(name))
    .flatMap((name) => {
      const lines = readJournal(join(folder, name))
      if (lines === undefined) return []
      const [head] = lines
      const run = name.replace(JOURNAL, '')
      if (head !== undefined && startOf(Number(head['pid'])) === head['start']) return []
      const forget = (): void => {
        rmSync(join(folder, run), { recursive: true, force: true })
        rmSync(join(folder, name), { force: true })
      }
      return [{ run, left: leftOf(lines), forget }]
    })
}

/** Undefined of one that is gone since the folder was read (its run ended well), or that may still be in the making. */
function readJournal(path: string): readonly Record<string, unknown>[] | undefined {
  try {
    const lines = readFileSync(path, 'utf8').split('\n').map(parse).filter(isRecord)
    return lines.length === 0 && Date.now() - statSync(path).mtimeMs < SOON ? undefined : lines
  } catch (error) {
    if (isRecord(error) && error['code'] === 'ENOENT') return undefined
    throw error
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function leftOf(lines: readonly Record<string, unknown>[]): readonly Planted[] {
  const left = new Map<unknown, Planted>()
  for (const { id, planted, gone } of lines) {
    if (isPlanted(planted)) left.set(id, planted)
    left.delete(gone)
  }
  return [...left.values()].reverse()
}

/** The last line of a killed run may be half a line. */
function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Only we can have written these lines: `assertOurs`. */
function isPlanted(value: unknown): value is Planted {
  return isRecord(value) && typeof value['kind'] === 'string'
}

/** Start time of a process in clock ticks since boot; with the pid it names one process. Empty when there is none. */
export function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
