const FORWARDED = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGCONT',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGIO',
  'SIGPWR',
  'SIGVTALRM',
  'SIGXCPU',
  'SIGXFSZ',
] as const
const FORCE_AFTER = 3

/** Passes the signals that reach us on to the container; the third SIGINT or SIGTERM ends us. */
export function forwardSignals(
  kill: (signal: string) => Promise<void>,
  warn: (line: string) => void,
): Disposable {
  let pressed = 0
  const handlers = FORWARDED.map((signal) => {
    const handler = (): void => {
      if ((signal === 'SIGINT' || signal === 'SIGTERM') && (pressed += 1) >= FORCE_AFTER) {
        warn(`got ${FORCE_AFTER} SIGTERM/SIGINTs, forcefully exiting`)
        process.exit(1)
      }
      // The container may be gone by now; its exit code tells.
      kill(signal.slice(3)).catch(() => undefined)
    }
    process.on(signal, handler)
    return { signal, handler }
  })
  return { [Symbol.dispose]: () => handlers.forEach(({ signal, handler }) => process.off(signal, handler)) }
}
