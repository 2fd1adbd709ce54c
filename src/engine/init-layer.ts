/**
 * The lowest layer of every container: what programs look for to know where they are, and images rarely bring. Below
 * the image's own layers, so that the image wins, and no part of what `diff` and `commit` see.
 */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function initLayer(root: string): string {
  return join(root, 'init-layer')
}

/** What images are mounted over in containers. */
export function emptyLayers(root: string): readonly string[] {
  return ['empty-layer', 'empty-layer-2'].map((name) => join(root, name))
}

/** Made anew at each start of the engine: its content may change with its version, its path may not. */
export function makeInitLayer(root: string): void {
  for (const folder of emptyLayers(root)) mkdirSync(folder, { recursive: true, mode: 0o755 })
  const folder = initLayer(root)
  mkdirSync(join(folder, 'etc'), { recursive: true, mode: 0o755 })
  writeFileSync(join(folder, '.dockerenv'), '', { mode: 0o755 })
  // What each container mounts its own files over: made in its writable layer they would cost a copy of /etc each time.
  for (const name of ['hostname', 'hosts', 'resolv.conf']) {
    writeFileSync(join(folder, 'etc', name), '', { mode: 0o644 })
  }
  rmSync(join(folder, 'etc/mtab'), { force: true })
  symlinkSync('/proc/mounts', join(folder, 'etc/mtab'))
}
