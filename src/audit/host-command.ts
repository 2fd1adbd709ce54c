/** Runs a program of the host to its end. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { buffer } from 'node:stream/consumers'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly input?: string
  readonly signal?: AbortSignal
  /** ms; killed after it, and code 124. */
  readonly timeout?: number
}

/** A program that cannot be started gives code 127. */
export async function hostCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [program = '', ...args] = argv
  const child = spawn(program, args, {
    stdio: 'pipe',
    killSignal: 'SIGKILL',
    timeout: options.timeout ?? 30_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('close', (code) => resolve(code ?? 124))
  })
  // Who does not read its input (EPIPE) says so with its exit code.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const [code, stdout, stderr] = await Promise.all([ended, buffer(child.stdout), buffer(child.stderr)])
  return { code, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') }
}

/** Path of a program as a root shell would find it. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}
