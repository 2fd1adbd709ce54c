/**
 * A container's record at rest. What it was created with stands in `record.json`, written whole. What changes at each
 * start and end stands in one of two small files that are overwritten in turn: ext4 flushes a file that is renamed over
 * another to the disk (`auto_da_alloc`, ext4(5)), which took 0.4 to 5 ms here; overwriting takes 0.006 ms and needs
 * no room on a full disk. A write that kill -9 cut short is recognised, and the other file has the state before it.
 * When more has changed, record.json has all of it and says which of the small files' states it comes after, so that it
 * is there as a whole or, on a full disk, not at all.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { errnoOf } from '../base/errors.ts'
import { storageError, TEMPORARY_PREFIX, writeAll, writeWholeAtOnce } from '../store/write-whole.ts'
import type { ContainerRecord } from './record.ts'

const CHANGING = [
  'state',
  'restartCount',
  'manuallyStopped',
  'lastDelay',
  'network',
  'networks',
  'ports',
] as const satisfies readonly (keyof ContainerRecord)[]

/** In record.json: the number of the last write to a slot before it. One without comes before all of them. */
const COMES_AFTER = 'comesAfter'

const SLOTS = ['state-a.json', 'state-b.json']

/** record.json until it is whole. */
const DRAFT = `${TEMPORARY_PREFIX}record.json`

/** What is written when a container is made and run for the first time; empty ones are as good as none. */
export const RECORD_FILES: readonly string[] = [DRAFT, ...SLOTS]

/** `begin` and `end` number the write; they differ when only a part of it came to be. */
const slotSchema = z.object({
  begin: z.number(),
  changing: z.record(z.string(), z.unknown()),
  end: z.number(),
})

const wholeSchema = z.looseObject({ [COMES_AFTER]: z.number().default(0) })

export class RecordFile {
  readonly #folder: string
  /** Of the last write to a slot; 0 before the first. */
  #sequence: number
  /** What stands in record.json; undefined before there is one. */
  #whole: ContainerRecord | undefined

  /** `found`: what `readRecord` gave, of a container that is there already. */
  constructor(folder: string, found?: { readonly record: ContainerRecord; readonly sequence: number }) {
    this.#folder = folder
    this.#sequence = found?.sequence ?? 0
    this.#whole = found?.record
  }

  /** Throws when it cannot be written; the record that was is then what stands there. */
  save(record: ContainerRecord): void {
    if (this.#whole !== undefined && sameFixed(record, this.#whole)) return this.#writeSlot(record)
    const text = JSON.stringify({ ...record, [COMES_AFTER]: this.#sequence })
    writeWholeAtOnce(join(this.#folder, 'record.json'), text, { temporary: join(this.#folder, DRAFT) })
    this.#whole = record
  }

  #writeSlot(record: ContainerRecord): void {
    const number = this.#sequence + 1
    const name = SLOTS[number % SLOTS.length] ?? ''
    const changing = Object.fromEntries(CHANGING.map((key) => [key, record[key]]))
    try {
      // Not shortened: only the first line counts.
      const file = openSync(join(this.#folder, name), constants.O_WRONLY | constants.O_CREAT, 0o600)
      try {
        writeAll(file, Buffer.from(`${JSON.stringify({ begin: number, changing, end: number })}\n`))
      } finally {
        closeSync(file)
      }
    } catch (error) {
      throw storageError(`Writing ${name} in ${this.#folder}`, error)
    }
    this.#sequence = number
  }
}

/** The value is as it was found, to be checked; undefined when the folder has no record. */
export function readRecord(folder: string): { value: unknown; sequence: number } | undefined {
  const text = readIfThere(join(folder, 'record.json'))
  if (text === undefined) return undefined
  const { [COMES_AFTER]: sequence, ...whole } = wholeSchema.parse(JSON.parse(text))
  const slots = SLOTS.flatMap((name) => readSlot(join(folder, name)) ?? [])
  const last = slots.sort((a, b) => b.begin - a.begin)[0]
  if (last === undefined || last.begin <= sequence) return { value: whole, sequence }
  return { value: { ...whole, ...last.changing }, sequence: last.begin }
}

function readSlot(path: string): z.infer<typeof slotSchema> | undefined {
  const line = readIfThere(path)?.split('\n', 1)[0] ?? ''
  try {
    const slot = slotSchema.parse(JSON.parse(line))
    return slot.begin === slot.end ? slot : undefined
  } catch {
    // Cut short, or never written: the other one counts.
    return undefined
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

const changing: ReadonlySet<string> = new Set(CHANGING)

/** Nearly always the very same values, which need not be written out to be compared (0.02 ms each time). */
function sameFixed(a: ContainerRecord, b: ContainerRecord): boolean {
  const [left, right] = [fixedValues(a), fixedValues(b)]
  if (left.length === right.length && left.every((value, i) => value === right[i])) return true
  return JSON.stringify(left) === JSON.stringify(right)
}

/** Names and values in turn. */
function fixedValues(record: ContainerRecord): unknown[] {
  const all: readonly [string, unknown][] = Object.entries(record)
  return all.filter(([key]) => !changing.has(key)).flat()
}
