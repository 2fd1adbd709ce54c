import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex, Writable } from 'node:stream'
import { demultiplex } from '../client/connect.ts'
import { DEFAULT_DETACH_KEYS, DetachScanner, parseDetachKeys } from './detach-keys.ts'

export interface Streams {
  readonly connection: Duplex
  readonly tty: boolean
  /** null where the container's stdin is not ours. */
  readonly stdin: NodeJS.ReadStream | null
  readonly stdout: Writable | null
  readonly stderr: Writable | null
  /** Docker's notation; '' for ctrl-p ctrl-q. */
  readonly detachKeys: string
  /** Ends the streaming early (the container could not be started). */
  readonly signal?: AbortSignal
}

/**
 * Carries bytes between our terminal or pipes and a container until its output ends or the detach keys come. With a
 * terminal our side is raw: every key belongs to the container. The terminal is restored before this resolves.
 */
export async function streamContainer(streams: Streams): Promise<'ended' | 'detached'> {
  const { connection, stdin, tty, signal } = streams
  // A write after the container's end fails with EPIPE; what counts is the end of its output.
  connection.on('error', () => undefined)
  signal?.addEventListener('abort', () => connection.destroy(), { once: true })
  using terminal = rawTerminal(tty ? stdin : null)
  const output = pumpOutput(streams).then(() => 'ended' as const)
  output.catch(() => undefined)
  if (stdin === null) {
    connection.end()
    return await output
  }
  using input = pumpInput(stdin, connection, tty ? keysOf(streams.detachKeys) : null)
  const result = await Promise.race([output, input.detached])
  terminal.restore()
  return result
}

function keysOf(text: string): readonly number[] {
  if (text === '') return DEFAULT_DETACH_KEYS
  try {
    return parseDetachKeys(text)
  } catch {
    return DEFAULT_DETACH_KEYS
  }
}

async function pumpOutput({ connection, tty, stdout, stderr }: Streams): Promise<void> {
  try {
    if (!tty) {
      await demultiplex(connection, stdout, stderr)
      return
    }
    for await (const chunk of connection) {
      if (stdout !== null && !stdout.write(chunk)) await once(stdout, 'drain')
    }
  } catch (error) {
    // Destroyed by our own abort, or reset by an engine that is done: both are an end of output.
    if (!connection.destroyed) throw error
  }
}

function pumpInput(
  stdin: NodeJS.ReadStream,
  connection: Duplex,
  keys: readonly number[] | null,
): Disposable & { readonly detached: Promise<'detached'> } {
  const scanner = keys === null ? undefined : new DetachScanner(keys)
  let detach: () => void = () => undefined
  const detached = new Promise<'detached'>((resolve) => (detach = () => resolve('detached')))
  const onData = (chunk: Buffer): void => {
    const { bytes, detached: now } = scanner?.push(chunk) ?? { bytes: chunk, detached: false }
    if (bytes.length > 0 && !connection.destroyed && !connection.write(bytes)) {
      stdin.pause()
      connection.once('drain', () => stdin.resume())
    }
    if (now) detach()
  }
  const onEnd = (): void => void connection.end()
  stdin.on('data', onData).on('end', onEnd).on('error', onEnd)
  return {
    detached,
    [Symbol.dispose]: () => {
      stdin.off('data', onData).off('end', onEnd).pause()
      connection.destroy()
    },
  }
}

/** What stty(1) says of our terminal; undefined where there is no stty or it fails. */
function stty(args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('stty', args, {
    stdio: ['inherit', 'pipe', 'ignore'],
    encoding: 'utf8',
  })
  return status === 0 ? stdout : undefined
}

function rawTerminal(stdin: NodeJS.ReadStream | null): Disposable & { restore: () => void } {
  if (stdin === null || stdin.isTTY !== true)
    return { restore: () => undefined, [Symbol.dispose]: () => undefined }
  const saved = stty(['-g'])?.trim()
  // Node's own raw mode leaves the output processed (ONLCR): each line of the container would end in CR CR LF.
  if (saved === undefined || stty(['raw', '-echo']) === undefined) stdin.setRawMode(true)
  let raw = true
  const restore = (): void => {
    if (!raw) return
    raw = false
    if (stdin.isRaw) stdin.setRawMode(false)
    else if (saved !== undefined) stty([saved])
  }
  // Also when the process ends otherwise: a shell in raw mode is of no use to anybody.
  process.once('exit', restore)
  return { restore, [Symbol.dispose]: restore }
}
