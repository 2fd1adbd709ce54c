/** Carries archives into folders and out of them, through the native core. */
import { Readable } from 'node:stream'
import { DewarError, messageOf } from '../base/errors.ts'
import type { Core } from '../kernel/core-api.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { decompress } from './decompress.ts'
import { decodeOps } from './ops.ts'
import type { OpsEvent } from './ops.ts'
import { packStream } from './pack-stream.ts'
import { emptySummary, tarToOps } from './tar-to-ops.ts'
import type { TarSummary, TarToOpsOptions } from './tar-to-ops.ts'
import { packPlan, unpackPlan } from './unpack-plan.ts'
import { diskFull } from './write-whole.ts'

export interface Unpacked extends TarSummary {}

/** Where archives are unpacked: the core, and the system call filter for it (unpack-filter.ts). */
export interface Sandbox {
  readonly core: Core
  readonly filter?: Uint8Array
}

/**
 * Unpacks a tar (plain, gzip or zstd) into a folder. Throws `invalid-argument` for an archive that is damaged or
 * hostile, `too-large`, `disk-full`; what had been unpacked until then stays, so the folder should be a temporary one.
 */
export async function unpackTar(
  sandbox: Sandbox,
  folder: string,
  tar: AsyncIterable<Buffer>,
  options: TarToOpsOptions,
  signal?: AbortSignal,
): Promise<Unpacked> {
  const summary = emptySummary()
  await unpackOps(sandbox, folder, tarToOps(decompress(tar), options, summary), signal)
  return summary
}

/** Applies an operation stream to a folder. */
export async function unpackOps(
  sandbox: Sandbox,
  folder: string,
  ops: AsyncIterable<Buffer>,
  signal?: AbortSignal,
): Promise<void> {
  const source: { failure?: Error } = {}
  const input = Readable.from(noting(ops, source), { objectMode: false, highWaterMark: 512 * 1024 })
  const plan = unpackPlan({ folder, ...filterOf(sandbox) })
  try {
    await sandbox.core.run(plan, { input, ...(signal === undefined ? {} : { signal }) })
  } catch (error) {
    // When the source broke, the native side only saw its stream end early: tell the cause.
    if (source.failure !== undefined) throw source.failure
    if (signal?.aborted === true) throw signal.reason
    throw unpackError(error)
  }
}

function filterOf(sandbox: Sandbox): { readonly filter?: Uint8Array } {
  return sandbox.filter === undefined ? {} : { filter: sandbox.filter }
}

async function* noting(ops: AsyncIterable<Buffer>, source: { failure?: Error }): AsyncGenerator<Buffer> {
  try {
    yield* ops
  } catch (error) {
    source.failure = error instanceof Error ? error : new Error(String(error))
    throw error
  }
}

const ARCHIVE_FAULTS: ReadonlyMap<string, string> = new Map([
  ['EBADMSG', 'the entry is malformed'],
  ['ENOENT', 'it lies in, or links to, something that does not exist'],
  ['ENOTDIR', 'it lies in something that is not a directory'],
  ['ELOOP', 'it leads through too many symbolic links or levels'],
  ['EEXIST', 'something is in its place'],
  ['EISDIR', 'a directory is in its place'],
  ['EINVAL', 'its name or an attribute is not valid here'],
  ['ENAMETOOLONG', 'its name is too long'],
  ['EPERM', 'it is not permitted'],
  ['EXDEV', 'it leads to another filesystem'],
  ['EMLINK', 'it has too many links'],
  ['EFBIG', 'it is larger than the filesystem allows'],
])

/** What the native side answered, for people. */
export function unpackError(error: unknown): DewarError {
  if (error instanceof DewarError) return error
  if (!(error instanceof PlanFailed)) {
    return new DewarError('system', `Unpacking failed: ${messageOf(error)}`, { cause: error })
  }
  if (error.errno === 'ENOSPC' || error.errno === 'EDQUOT')
    return diskFull(`Unpacking ${JSON.stringify(error.path)}`, error)
  const why = error.op === 'unpack' ? ARCHIVE_FAULTS.get(error.errno) : undefined
  if (why === undefined)
    return new DewarError('system', `Unpacking failed: ${error.message}`, { cause: error })
  return new DewarError(
    'invalid-argument',
    `Unpacking ${JSON.stringify(error.path)} failed: ${why} (${error.errno})`,
    { cause: error, remedy: 'the archive is hostile or damaged' },
  )
}

/** The content of a folder as events; the plan ends when the iteration does, or is stopped by leaving it. */
export async function* packFolder(sandbox: Sandbox, folder: string, path = '/'): AsyncGenerator<OpsEvent> {
  const stream = packStream()
  const stop = new AbortController()
  const running = sandbox.core.run(packPlan({ folder, ...filterOf(sandbox) }, path), {
    signal: stop.signal,
    output: (chunk) =>
      stream.write(chunk) ? undefined : new Promise((resolve) => stream.once('drain', resolve)),
  })
  running.then(
    () => stream.end(),
    (error: unknown) => stream.destroy(packError(error)),
  )
  try {
    yield* decodeOps(stream)
  } finally {
    stop.abort()
    stream.destroy()
  }
}

function packError(error: unknown): DewarError {
  if (error instanceof DewarError) return error
  return new DewarError('system', `Packing files failed: ${messageOf(error)}`, { cause: error })
}
