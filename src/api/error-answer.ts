/** What a client is told of an error. */
import { DewarError, messageOf } from '../base/errors.ts'

export interface Answer {
  readonly status: number
  readonly message: string
}

/**
 * A DewarError speaks for itself. Anything else is a defect of ours: the client gets the message alone, the
 * stack goes to the engine's standard error.
 */
export function answerFor(error: unknown): Answer {
  if (error instanceof DewarError) return { status: error.status, message: error.message }
  const status = clientStatus(error)
  if (status !== undefined) return { status, message: messageOf(error) }
  process.stderr.write(
    `request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  return {
    status: 500,
    message: `internal error: ${messageOf(error).split('\n', 1)[0]?.slice(0, 500) ?? ''}`,
  }
}

/** Errors of the HTTP layer carry a status below 500; a URI that does not decode is the client's too. */
function clientStatus(error: unknown): number | undefined {
  if (error instanceof URIError) return 400
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined
  const status = error.statusCode
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined
  // dockerd knows no 415; a content type that does not parse is a bad request there.
  return status === 415 ? 400 : status
}
