/**
 * The table of error codes: one row per kind of failure, with the HTTP status Docker's clients expect
 * for it and the exit code our own CLI ends with when the failure is the last word.
 *
 * A message begins with the action that failed, names the object and ends with what to do. Where real
 * clients match on dockerd's words ("No such container: x"), those words are kept.
 */
export const ERROR_TABLE = {
  'invalid-argument': { status: 400, exit: 125 },
  unauthorized: { status: 401, exit: 125 },
  forbidden: { status: 403, exit: 125 },
  'not-found': { status: 404, exit: 125 },
  conflict: { status: 409, exit: 125 },
  'not-modified': { status: 304, exit: 0 },
  'too-large': { status: 413, exit: 125 },
  system: { status: 500, exit: 125 },
  'not-implemented': { status: 501, exit: 125 },
  unavailable: { status: 503, exit: 125 },
  /** The container's command does not exist. dockerd answers 400 to `start`, the CLI exits 127. */
  'command-not-found': { status: 400, exit: 127 },
  /** The container's command is there and cannot be executed. The CLI exits 126. */
  'command-not-executable': { status: 400, exit: 126 },
  'disk-full': { status: 500, exit: 125 },
} as const satisfies Record<string, { status: number; exit: number }>

export type ErrorCode = keyof typeof ERROR_TABLE

export interface ErrorContext {
  readonly cause?: unknown
  /** What the person can do about it; appended to the message after a colon-free sentence break. */
  readonly remedy?: string
  /** How a command ended that failed in a build: clients end with it. */
  readonly exitStatus?: number
}

/** The only error type that crosses rooms. Everything else that is thrown is a defect of ours. */
export class DewarError extends Error {
  readonly code: ErrorCode
  readonly remedy: string | undefined
  readonly exitStatus: number | undefined

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(context.remedy === undefined ? message : `${message} (${context.remedy})`, {
      cause: context.cause,
    })
    this.name = 'DewarError'
    this.code = code
    this.remedy = context.remedy
    this.exitStatus = context.exitStatus
  }

  /** HTTP status for the Engine API. */
  get status(): number {
    return ERROR_TABLE[this.code].status
  }

  /** Exit code for the CLI. */
  get exitCode(): number {
    return ERROR_TABLE[this.code].exit
  }
}

/** The `code` of a Node system error (`ENOENT`, …), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The message of anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
