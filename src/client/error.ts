/**
 * What went wrong between us and an engine. `status` is the HTTP status the engine answered with, or 0 when no answer
 * came (nothing listens, connection cut); then `code` holds the system's word for it (ECONNREFUSED, ENOENT, …).
 */
export class ClientError extends Error {
  readonly status: number
  readonly code: string | undefined

  constructor(
    status: number,
    message: string,
    options: { readonly cause?: unknown; readonly code?: string } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'ClientError'
    this.status = status
    this.code = options.code
  }

  /** True when nothing answered at the address, so that starting an engine there could help. */
  get unreachable(): boolean {
    return this.status === 0 && (this.code === 'ENOENT' || this.code === 'ECONNREFUSED')
  }
}

/** True for an answer "there is no such thing". */
export function isNotFound(error: unknown): error is ClientError {
  return error instanceof ClientError && error.status === 404
}
