import { constants } from 'node:os'

/** A call inside that failed (`ENOENT`), or a program inside that did (`EPROTO`, `TIMEOUT`, `GONE`). */
export class GuestError extends Error {
  /** Name of the error. */
  readonly error: string

  constructor(error: string, message: string) {
    super(message)
    this.name = 'GuestError'
    this.error = error
  }
}

/** Those that Node has no name for; numbers of asm-generic/errno.h, the same on x86_64 and aarch64. */
const MORE: Readonly<Record<number, string>> = {
  15: 'ENOTBLK',
  94: 'ESOCKTNOSUPPORT',
  96: 'EPFNOSUPPORT',
  112: 'EHOSTDOWN',
  117: 'EUCLEAN',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
}

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]))
for (const [number, name] of Object.entries(MORE)) names.set(Number(number), name)
// One number, two names: the one that man pages use.
names.set(constants.errno.EAGAIN, 'EAGAIN')
names.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP')

/** `EPERM`; '' for 0; `errno-512` for one that nobody named. */
export function errorName(errno: number): string {
  return errno === 0 ? '' : (names.get(errno) ?? `errno-${errno}`)
}

const signals = new Map<number, string>(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
)

/** `SIGSYS`. */
export function signalName(signal: number): string {
  return signals.get(signal) ?? `signal-${signal}`
}
