import type { Row } from './row.ts'

export interface NormaliseOptions {
  /** Short ids (12 digits) of the images both sides have: these must be equal, all other ids may not be. */
  readonly imageIds: ReadonlySet<string>
  /** Folder of the side, shown as DIR. */
  readonly folder: string
}

const TIME = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d( [A-Z]+)?)/g
const SPAN =
  /(Less than a second|About an? (minute|hour)|\d+ (second|minute|hour|day|week|month|year)s?)( ago)?/g

/** Replaces what differs from run to run (ids, times, folders, hardware addresses) by a word; see docs in README. */
export function normalise(text: string, row: Row, { imageIds, folder }: NormaliseOptions): string {
  let result = text
    .replaceAll(folder, 'DIR')
    .replaceAll(/(sha256:)?\b[0-9a-f]{64}\b/g, (id, image?: string) => (image ? id : 'ID64'))
    .replaceAll(/\b[0-9a-f]{12}\b/g, (id) => (imageIds.has(id) ? id : 'ID12'))
    .replaceAll(TIME, 'TIME')
    .replaceAll(SPAN, 'SPAN')
    .replaceAll(/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, 'MAC')
    .replaceAll(/\bdewar:|(?<=Usage: +|'|Run ')dewar (?=[a-z]+)/g, (name) => name.replace('dewar', 'docker'))
    .replaceAll(/ {2,}/g, '  ')
    .replaceAll(/ +$/gm, '')
  for (const [pattern, word] of row.normalise ?? []) result = result.replaceAll(pattern, word)
  return row.anyOrder ? result.split('\n').sort().join('\n') : result
}
