/** Where paths of the kernel's file systems are looked up. Pure. */
import { posix } from 'node:path'
import type { Slot } from '../../kernel/plan.ts'

/** open(2): a descriptor to resolve in. Linux's own number, the same on x86-64 and arm64. */
export const O_PATH = 0o10000000

export const SYSTEM: ReadonlySet<string> = new Set(['/proc', '/sys', '/dev'])

/**
 * What lies in /proc, /sys and /dev is found in their mounts, not by the way to them: an image may make /proc a link
 * through a place that a later mount covers, so that it leads elsewhere by then. What was to be hidden or made read-only
 * would be looked for there, found missing and left open (the kin of CVE-2019-19921 and CVE-2023-27561).
 */
export class Places {
  readonly #root: Slot
  readonly #mounts = new Map<string, Slot>()
  readonly #staged = new Set<string>()

  constructor(root: Slot) {
    this.#root = root
  }

  /** From now on paths below `destination` are looked up in this mount of it. */
  add(destination: string, slot: Slot): void {
    if (SYSTEM.has(destination) && !this.#mounts.has(destination)) this.#mounts.set(destination, slot)
  }

  /** The mount of /proc, /sys or /dev is made before the root is. */
  stage(destination: string): void {
    this.#staged.add(destination)
  }

  /** Something that waits for the root lies at or below `path`'s tree: what comes after it does, too. */
  unstage(path: string): void {
    this.#staged.delete(treeOf(path))
  }

  /** `tree`: what `treeOf` gives. */
  isStaged(tree: string): boolean {
    return this.#staged.has(tree)
  }

  /** Two of the same key give the same places. */
  get key(): string {
    return [this.#root, ...this.#mounts].join(' ')
  }

  of(path: string): { readonly at: Slot; readonly path: string; readonly within?: string } {
    const plain = plainPath(path)
    for (const [within, at] of this.#mounts)
      if (plain.startsWith(`${within}/`)) return { at, path: plain.slice(within.length), within }
    return { at: this.#root, path: plain }
  }
}

/** '//proc/kcore' → '/proc' */
export const treeOf = (path: string): string => `/${plainPath(path).split('/', 2)[1] ?? ''}`

/** Clients choose the paths, and write //proc/kcore or /proc/../etc/x for what they mean. */
export function plainPath(path: string): string {
  const plain = posix.normalize(path)
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain
}
