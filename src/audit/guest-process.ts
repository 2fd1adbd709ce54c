/** The two ways a guest's wire comes: an engine's exec connection, and a child of ours. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { readlink } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { demultiplex } from '../client/connect.ts'
import type { GuestProcess } from './guest-types.ts'
import { GUEST_ARGV } from './target.ts'

const COMPLAINT_BYTES = 4096

/**
 * The program serves where the PID namespace is not the first of a kernel. A container with --pid=host is known to be
 * none the less a container by its mount namespace, which is not the auditor's.
 */
export async function guestArgv(): Promise<readonly string[]> {
  return [...GUEST_ARGV, '--unlike', '/proc/self/ns/mnt', await readlink('/proc/self/ns/mnt')]
}

/** Of an exec or attach without a terminal. */
export function processOfConnection(connection: Duplex): GuestProcess {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const complaint = gather(stderr)
  const ended = demultiplex(connection, stdout, stderr)
    .catch((error: Error) => void stderr.write(`\n${error.message}`))
    .then(() => {
      stdout.end()
      stderr.end()
    })
  connection.on('error', () => undefined)
  return {
    stdin: connection,
    stdout,
    complaint,
    ended,
    async [Symbol.asyncDispose]() {
      connection.end()
      connection.destroy()
      stdout.resume()
      await ended
    },
  }
}

export function processOfChild(child: ChildProcessWithoutNullStreams): GuestProcess {
  const complaint = gather(child.stderr)
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('close', () => resolve())
  })
  child.stdin.on('error', () => undefined)
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    complaint,
    ended,
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      child.stdout.resume()
      // It ends by itself when its input has; what hangs in a system call does not.
      const late = setTimeout(() => child.kill('SIGKILL'), 2000)
      await ended
      clearTimeout(late)
    },
  }
}

function gather(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    if (text.length < COMPLAINT_BYTES) text += chunk.toString('utf8')
  })
  stream.on('error', () => undefined)
  return () => text.trim()
}
