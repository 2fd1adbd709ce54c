import { spawn } from 'node:child_process'

export interface CommandOptions {
  readonly cwd?: string
  /** Added to (not instead of) the environment of the tests; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string | Buffer
  /** Milliseconds; then the whole process group is killed. */
  readonly timeout?: number
  /** Throw when it exits with anything but 0. */
  readonly check?: boolean
}

export interface CommandResult {
  /** 128+n for signal n. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
  /** Milliseconds of wall time. */
  readonly ms: number
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
}

/** Runs a program to its end, in a process group of its own so that a timeout leaves nothing behind. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program = '', ...args] = argv
  const began = performance.now()
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  // A child that ends without reading its input is no error of the test.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child.pid)
    // A grandchild that left the group may hold the pipes; the bytes that came are enough.
    child.stdout.destroy()
    child.stderr.destroy()
  }, options.timeout ?? 60_000)
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exit, signal) => resolve(exit ?? 128 + (SIGNALS[signal ?? ''] ?? 0)))
  }).finally(() => clearTimeout(timer))
  const result = {
    code,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
    timedOut,
    ms: performance.now() - began,
  }
  if (options.check && (code !== 0 || timedOut)) throw new Error(`${describe(argv, result)}`)
  return result
}

/** What was run and how it ended, for failure messages. */
export function describe(argv: readonly string[], result: CommandResult): string {
  const end = result.timedOut ? `killed after ${Math.round(result.ms)} ms` : `exit code ${result.code}`
  return `${argv.join(' ')}: ${end}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself between the timer and here.
  }
}
