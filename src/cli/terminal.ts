import { setTimeout as delay } from 'node:timers/promises'
import type { Cli } from './cli.ts'
import { Failure } from './failure.ts'

export interface TerminalSize {
  readonly rows: number
  readonly columns: number
}

/** The size of the terminal that stdout is; undefined elsewhere. */
export function terminalSize(cli: Cli): TerminalSize | undefined {
  if (cli.stdout.isTTY !== true || !cli.stdout.rows || !cli.stdout.columns) return undefined
  return { rows: cli.stdout.rows, columns: cli.stdout.columns }
}

/** Docker's check before anything is created: -t with a stdin that is no terminal cannot work. */
export function checkTty(cli: Cli, attachStdin: boolean, tty: boolean): void {
  if (tty && attachStdin && cli.stdin.isTTY !== true) throw new Failure('the input device is not a TTY', 1)
}

const TRIES = 10

/**
 * Gives the container our terminal's size now and whenever it changes. One request at a time, always with the size of
 * that moment: two under way at once may arrive in the wrong order, and the older size would stay.
 */
export function followSize(cli: Cli, resize: (size: TerminalSize) => Promise<void>): Disposable {
  const stop = new AbortController()
  let changed = true
  let sending = false
  const send = async (): Promise<void> => {
    if (sending) return
    sending = true
    try {
      while (changed && !stop.signal.aborted) {
        changed = false
        await resizeNow(cli, resize, stop.signal)
      }
    } finally {
      sending = false
    }
  }
  const start = (): void => {
    changed = true
    send().catch(() => cli.warn('failed to resize tty, using default size'))
  }
  cli.stdout.on('resize', start)
  start()
  return {
    [Symbol.dispose]: () => {
      stop.abort()
      cli.stdout.off('resize', start)
    },
  }
}

/** Right after the start the terminal may not be there yet: the engine answers 409 then, for a few milliseconds. */
async function resizeNow(
  cli: Cli,
  resize: (size: TerminalSize) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    const size = terminalSize(cli)
    try {
      if (size !== undefined) await resize(size)
      return
    } catch (error) {
      if (signal.aborted) return
      if (attempt > TRIES) throw error
    }
    await delay(attempt * 10, undefined, { signal }).catch(() => undefined)
  }
}
