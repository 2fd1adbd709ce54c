import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Finds a program as a root shell would. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** For `test(…, { skip: missing('dockerd', 'skopeo') })`: false, or the reason with its remedy. */
export function missing(...programs: readonly string[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root: run `sudo npm test`'
  const absent = programs.filter((name) => findProgram(name) === undefined)
  return absent.length === 0
    ? false
    : `needs ${absent.join(', ')}: install it (npm test does where apt is there)`
}
