/**
 * xz and bzip2, by the programs of these names, as dockerd does it for xz: no decoder for them comes with Node, and
 * those on npm decode whole blocks into memory at once or share one state among all streams. What a stranger has packed
 * is decoded by nobody (a user without files), with bounded memory, and in a network of its own that leads nowhere.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'

const ARGUMENTS = {
  // `xz -9` wants 65 MiB to decode; a header may ask for 4 GiB.
  xz: ['--decompress', '--stdout', '--quiet', '--threads=1', '--memlimit-decompress=256MiB'],
  bzip2: ['--decompress', '--stdout', '--quiet'],
} as const

const PACKAGES = { xz: 'xz-utils', bzip2: 'bzip2' } as const

type Format = keyof typeof ARGUMENTS

/**
 * util-linux, on every distribution that has a kernel for Dewar. Both become what they start, so that it is one process.
 * Kept apart: networks (with them sockets of abstract names), System V's queues and memory, the host's name.
 */
const APART = ['unshare', '--net', '--ipc', '--uts', '--']
const AS_NOBODY = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'],
  ...['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all', '--'],
]
/** unshare(1) and setpriv(1): the program to be started was not found. */
const NOT_FOUND = 127

/** Throws invalid-argument for what is damaged, not-implemented where a program is missing. */
export async function* byProgram(format: Format, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const child = await start(format)
  const said: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 10) said.push(text)
  })
  const ended = once(child, 'close')
  const feeding: { failure?: Error } = {}
  const fed = pipeline(Readable.from(source, { objectMode: false }), child.stdin).catch((error: unknown) => {
    // The program may have seen enough; then its exit code is the answer.
    if (errnoOf(error) === 'EPIPE' || errnoOf(error) === 'ECONNRESET') return
    feeding.failure = error instanceof Error ? error : new Error(messageOf(error))
    child.kill('SIGKILL')
  })
  try {
    for await (const bytes of child.stdout) if (Buffer.isBuffer(bytes)) yield bytes
    await fed
    await ended
  } finally {
    child.kill('SIGKILL')
  }
  if (feeding.failure !== undefined) throw feeding.failure
  if (child.exitCode === NOT_FOUND) throw missing(format, said.join('').trim())
  if (child.exitCode !== 0) throw refused(format, said.join('').trim())
}

async function start(format: Format): Promise<ChildProcessWithoutNullStreams> {
  const path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  // Who is not root has nothing to lose by it: then no engine runs.
  const walls = process.getuid?.() === 0 ? [...APART, ...AS_NOBODY] : []
  const [program = format, ...args] = [...walls, format, ...ARGUMENTS[format]]
  const child = spawn(program, args, { cwd: '/', env: { PATH: path }, stdio: 'pipe' })
  child.stdin.on('error', () => undefined)
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw missing(format, messageOf(cause), cause)
  }
  return child
}

function missing(format: Format, why: string, cause?: unknown): DewarError {
  return new DewarError('not-implemented', `Decompressing ${format} failed: ${why}`, {
    cause,
    remedy: `install ${PACKAGES[format]} and util-linux where the engine runs, or use gzip or zstd`,
  })
}

function refused(format: Format, why: string): DewarError {
  if (/Memory usage limit/.test(why)) {
    const message = `Decompressing failed: the ${format} data asks for more than 256 MiB of memory`
    return new DewarError('too-large', message, { remedy: 'compress it with a smaller dictionary' })
  }
  // bzip2 says nothing when it is to be quiet, and a page when not.
  const reason = why === '' ? '' : `: ${why}`
  return new DewarError('invalid-argument', `Decompressing failed: the ${format} data is damaged${reason}`, {
    remedy: 'fetch it again',
  })
}
