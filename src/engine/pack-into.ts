/** The files below a path of a container, as operations, into a stream. */
import type { PassThrough } from 'node:stream'
import type { Bundle, Level } from '../isolation/level.ts'
import type { Shim } from '../kernel/core-api.ts'
import { bytesOf } from '../store/ops.ts'
import type { Services } from './services.ts'

export interface FilesSource {
  readonly services: Services
  readonly level: Level
  readonly bundle: Bundle
  readonly running: Shim | undefined
  readonly signal: AbortSignal
  /** Without volumes and other mounts. */
  readonly bare?: boolean
  /** Of a folder nothing that is in it. */
  readonly alone?: boolean
}

/**
 * Writes the operation stream of `path` (last component not followed; `x/.` follows) and ends or destroys `stream`. Resolves
 * when all is mounted, for which the first output speaks; what is mounted later is not in its way. Until then it is not
 * given up either: what is still being mounted would get in the way of who mounts next.
 */
export function packInto(source: FilesSource, path: string, stream: PassThrough): Promise<void> {
  const { services, level, bundle, running, signal, bare = false, alone = false } = source
  const steps = [{ actor: 'guest', op: 'pack', path: bytesOf(path), alone }] as const
  const giveUp = new AbortController()
  // One that runs is mounted.
  let isMounted = running !== undefined
  signal.addEventListener('abort', () => isMounted && giveUp.abort(), { once: true })
  return new Promise((mounted) => {
    const output = (chunk: Buffer): Promise<void> | undefined => {
      isMounted = true
      mounted()
      if (signal.aborted) giveUp.abort()
      const isTaken = stream.destroyed || stream.write(chunk)
      return isTaken ? undefined : new Promise((resolve) => stream.once('drain', resolve))
    }
    Promise.resolve()
      .then(() => level.files(services.core, bundle, running, steps, { signal: giveUp.signal, bare, output }))
      .then(
        () => stream.end(),
        (error: unknown) => destroy(stream, error),
      )
      .finally(mounted)
  })
}

export function destroy(stream: PassThrough, error: unknown): void {
  stream.destroy(error instanceof Error ? error : new Error(String(error)))
}
