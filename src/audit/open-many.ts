import { closeSync, openSync } from 'node:fs'

/** For what else this process has to open. */
const SPARE = 200

/** So many open files, or as many as the limit of this process allows with some to spare. Whoever asked closes them. */
export function openMany(most: number): number[] {
  const files: number[] = []
  try {
    while (files.length < most) files.push(openSync('/dev/null', 'r'))
  } catch {
    // EMFILE
    for (const file of files.splice(-SPARE)) closeSync(file)
  }
  return files
}
