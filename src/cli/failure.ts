/** Ends a command: what to print on stderr (nothing when empty) and the exit code. Thrown by commands, printed in main.ts only. */
export class Failure extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1, cause?: unknown) {
    super(message, { cause })
    this.name = 'Failure'
    this.exitCode = exitCode
  }
}

/** Ends a command with an exit code and no words (the container's own exit code, say). */
export function exitWith(code: number): Failure {
  return new Failure('', code)
}
