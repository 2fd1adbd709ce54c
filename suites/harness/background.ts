import { spawn } from 'node:child_process'
import { openSync, closeSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram } from './requirement.ts'

const TOGETHER = findProgram('setpriv') === undefined ? [] : ['setpriv', '--pdeathsig', 'TERM', '--']

export interface Background extends AsyncDisposable {
  readonly pid: number
  /** Resolves with the exit code, 128+n for a signal known to have killed it, else 128. */
  readonly ended: Promise<number>
  running(): boolean
  /** The last lines it printed. */
  log(): string
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL after `grace` ms. */
  stop(grace?: number): Promise<number>
}

/** Starts a long-running program, its output in `logFile`; stopped by its pid at the end of the scope. */
export function background(
  argv: readonly string[],
  logFile: string,
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Background {
  // It goes with the tests when these are killed.
  const [program = '', ...args] = [...TOGETHER, ...argv]
  const fd = openSync(logFile, 'a')
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', fd, fd],
  })
  closeSync(fd)
  let over = false
  const ended = new Promise<number>((resolve) => {
    const end = (code: number) => {
      over = true
      resolve(code)
    }
    child.on('error', () => end(127))
    child.on('exit', (code, signal) => end(code ?? (signal === 'SIGKILL' ? 137 : 128)))
  })
  const stop = async (grace = 15_000) => {
    if (!over) child.kill('SIGTERM')
    const late = new AbortController()
    await Promise.race([ended, sleep(grace, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
    if (!over) child.kill('SIGKILL')
    return ended
  }
  return {
    pid: child.pid ?? 0,
    ended,
    running: () => !over,
    log: () => readFileSync(logFile, 'utf8').split('\n').slice(-40).join('\n'),
    kill: (signal) => void child.kill(signal),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}
