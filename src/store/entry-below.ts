import type { Entry } from './ops.ts'

/** The entry inside a folder: how `cp` unpacks into a path of the container's root. `folder` is "" for the root itself. */
export function entryBelow(folder: string, entry: Entry): Entry {
  if (folder === '') return entry
  const below = (path: string): string => (path === '.' || path === '' ? folder : `${folder}/${path}`)
  const link = entry.kind === 'hardlink' && entry.link !== undefined ? { link: below(entry.link) } : {}
  return { ...entry, ...link, path: below(entry.path) }
}
