/** What there is of starts that are begun before they are asked for. */
import { readdirSync, readFileSync } from 'node:fs'
import { resolveOptions } from '../../src/engine/options.ts'
import type { Home } from './fixture.ts'

/** Host pids by the container in whose groups they are. */
export function membersOf(of: Home): ReadonlyMap<string, readonly number[]> {
  const { instance } = resolveOptions(of.options)
  const found = new Map<string, number[]>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const [, id] = new RegExp(`/dewar-${instance}/([0-9a-f]{64})`).exec(readText(`/proc/${pid}/cgroup`)) ?? []
    if (id !== undefined) found.set(id, [...(found.get(id) ?? []), Number(pid)])
  }
  return found
}

/** Names of the groups there are, with and without somebody in them. */
export function groupsOf(of: Home): readonly string[] {
  const { instance } = resolveOptions(of.options)
  const trees = readdirSync('/sys/fs/cgroup').map((tree) => `/sys/fs/cgroup/${tree}/dewar-${instance}`)
  return [...new Set([`/sys/fs/cgroup/dewar-${instance}`, ...trees].flatMap(foldersIn))]
}

function foldersIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? [e.name] : []))
  } catch {
    return []
  }
}

export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
