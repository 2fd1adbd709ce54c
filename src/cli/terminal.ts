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

/** Gives the container our terminal's size now and whenever it changes. */
export function followSize(cli: Cli, resize: (size: TerminalSize) => Promise<void>): Disposable {
  const send = async (): Promise<void> => {
    const size = terminalSize(cli)
    if (size !== undefined) await resize(size)
  }
  const onResize = (): void => void send().catch(() => undefined)
  cli.stdout.on('resize', onResize)
  const stop = new AbortController()
  void firstSize(send, stop.signal).catch(() => cli.warn('failed to resize tty, using default size'))
  return {
    [Symbol.dispose]: () => {
      stop.abort()
      cli.stdout.off('resize', onResize)
    },
  }
}

/** Right after the start the terminal may not be there yet: the engine answers 409 then, for a few milliseconds. */
async function firstSize(send: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      return await send()
    } catch (error) {
      if (signal.aborted) return
      if (attempt > TRIES) throw error
    }
    await delay(attempt * 10, undefined, { signal }).catch(() => undefined)
  }
}
