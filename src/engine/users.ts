/** Who a container's process runs as: `--user` looked up in the container's own files. */
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { Bundle, Level } from '../isolation/level.ts'
import type { Core, Shim } from '../kernel/core-api.ts'
import type { Step } from '../kernel/plan.ts'
import type { Container } from './container.ts'
import { resolveUser, type ExecUser, type UserFiles } from './passwd.ts'

/**
 * Thousands of users; a larger file is cut. What is in it is read for each exec and health check, and nobody else is
 * served meanwhile: 4 MiB of short lines took a second.
 */
const MAX = 512 * 1024
const READ: readonly Step[] = [
  { actor: 'guest', op: 'read', path: '/etc/passwd', max: MAX },
  { actor: 'guest', op: 'read', path: '/etc/group', max: MAX },
]

export class Users {
  readonly #core: Core
  /** By image: its files never change. Bounded, oldest out. */
  readonly #byImage = new Map<string, Promise<UserFiles>>()

  constructor(core: Core) {
    this.#core = core
  }

  /** `bundle`: makes what the level needs to look into the container, asked only when the image's answer does not do. */
  async resolve(
    container: Container,
    spec: string,
    groupAdd: readonly string[],
    level: Level,
    bundle: () => Bundle | Promise<Bundle>,
  ): Promise<ExecUser> {
    const files = await this.#files(container, level, bundle)
    return resolveUser(spec, files, groupAdd)
  }

  /** So that `resolve` need not look into the container, unless that has users of its own. */
  async learn(container: Container, level: Level, bundle: () => Bundle): Promise<void> {
    if (!hasOwnFiles(container)) await this.#files(container, level, bundle)
  }

  async #files(
    container: Container,
    level: Level,
    bundle: () => Bundle | Promise<Bundle>,
  ): Promise<UserFiles> {
    const running = container.running?.shim
    if (hasOwnFiles(container)) return this.#read(level, await bundle(), running)
    const key = container.record.imageId
    const known = this.#byImage.get(key)
    if (known !== undefined) return known
    // Not remembered: what a running container shows is its own in the end.
    if (running !== undefined) return this.#read(level, await bundle(), running)
    // Of the image alone: what is mounted into this container is no other's, and may be missing or hang.
    const reading = Promise.resolve(bundle()).then((made) => this.#read(level, made, undefined, true))
    this.#remember(key, reading)
    return reading
  }

  #remember(key: string, reading: Promise<UserFiles>): void {
    this.#byImage.set(key, reading)
    reading.catch(() => this.#byImage.delete(key))
    const oldest = this.#byImage.keys().next().value
    if (this.#byImage.size > 256 && oldest !== undefined) this.#byImage.delete(oldest)
  }

  async #read(level: Level, bundle: Bundle, running: Shim | undefined, bare = false): Promise<UserFiles> {
    const [passwd, group] = await level.files(this.#core, bundle, running, READ, { bare })
    return { passwd: textOf(passwd), group: textOf(group) }
  }
}

/** Without the line that the limit cut: half a number is another one. */
export function textOf(file: Buffer | undefined, most = MAX): string {
  const text = file?.toString('utf8') ?? ''
  return file?.length === most ? text.slice(0, text.lastIndexOf('\n') + 1) : text
}

/** Whether the container changed or covers what the image says about users. */
function hasOwnFiles(container: Container): boolean {
  const covered = container.record.mounts.some(({ destination }) =>
    /^\/etc(\/(passwd|group))?$/.test(destination),
  )
  if (covered) return true
  const etc = join(container.paths.upper, 'etc')
  const info = lstatSync(etc, { throwIfNoEntry: false })
  if (info === undefined) return false
  // A file, a whiteout (a character device) or a symlink in the place of the folder.
  if (!info.isDirectory()) return true
  return ['passwd', 'group'].some((name) => isThere(join(etc, name)))
}

/** A dangling symlink or a whiteout counts too, so nothing is followed. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
