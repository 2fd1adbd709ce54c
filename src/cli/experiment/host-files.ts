import { lstat, readlink } from 'node:fs/promises'
import { dirname, posix } from 'node:path'

/** An entry of a file tree to be packed. Owner root, time 0: the same host gives the same bytes. */
export type TreeEntry =
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'file'; readonly mode: number; readonly size: number; readonly from: string }
  | { readonly type: 'file'; readonly mode: number; readonly content: string }

/** Path inside the tree (absolute) → entry. */
export type Tree = Map<string, TreeEntry>

/** As the kernel's own limit on links in one path. */
const MAX_LINKS = 40

/**
 * Adds a file of the host to the tree at the very same path, with every folder and symbolic link on the way to it:
 * so `/bin → usr/bin`, `/bin/sh → dash` and `libz.so.1 → libz.so.1.2.13` look as they do on the host.
 * Throws what lstat throws when the file is not there.
 */
export async function addHostFile(tree: Tree, path: string): Promise<void> {
  let links = 0
  let pending = path.split('/').filter(Boolean)
  let at = '/'
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    const here = posix.join(at, name)
    const stat = await lstat(here)
    if (stat.isSymbolicLink()) {
      if (++links > MAX_LINKS) throw new Error(`ELOOP: too many symbolic links in ${path}`)
      const target = await readlink(here)
      tree.set(here, { type: 'symlink', target })
      pending = [...posix.resolve(at, target).split('/').filter(Boolean), ...pending]
      at = '/'
      continue
    }
    if (stat.isDirectory()) addDirectory(tree, here)
    // No setuid: nothing in the image needs it. Readable, so that every user of the container can run it.
    else
      tree.set(here, { type: 'file', mode: stat.mode & 0o111 ? 0o755 : 0o644, size: stat.size, from: here })
    at = here
  }
}

/** Adds a folder and those above it, unless they are there (a link to a folder counts). */
export function addDirectory(tree: Tree, path: string): void {
  const parent = dirname(path)
  if (parent !== '/' && !tree.has(parent)) addDirectory(tree, parent)
  if (!tree.has(path)) tree.set(path, { type: 'directory', mode: 0o755 })
}

export function addContent(tree: Tree, path: string, content: string, mode = 0o644): void {
  addDirectory(tree, dirname(path))
  tree.set(path, { type: 'file', mode, content })
}
