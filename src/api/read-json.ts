/** A request's JSON body, bounded, with dockerd's answers to what is no JSON. */
import type { IncomingMessage } from 'node:http'
import { DewarError } from '../base/errors.ts'

/** Far above any real configuration (an argument list is at most 2 MiB on Linux). */
export const MAX_JSON_BYTES = 16 * 1024 * 1024

/**
 * The parsed body; undefined when there is none. Throws invalid-argument for another content type or malformed
 * JSON, too-large beyond MAX_JSON_BYTES.
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const length = Number(request.headers['content-length'] ?? Number.NaN)
  const chunked = request.headers['transfer-encoding'] !== undefined
  if (length === 0 || (Number.isNaN(length) && !chunked)) return undefined
  if (length > MAX_JSON_BYTES) throw tooLarge()
  const body = await readBounded(request)
  if (body.length === 0) return undefined
  requireJsonType(request.headers['content-type'])
  return parseJson(body)
}

/** By events: an asynchronous iterator took 0.1 ms more. */
function readBounded(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_JSON_BYTES) return void chunks.push(chunk)
      request.pause()
      reject(tooLarge())
    })
    request.once('end', () => resolve(Buffer.concat(chunks)))
    request.once('error', reject)
  })
}

function tooLarge(): DewarError {
  return new DewarError('too-large', `request body is larger than ${MAX_JSON_BYTES} bytes`)
}

export function requireJsonType(header: string | undefined): void {
  if (header === undefined)
    throw new DewarError('invalid-argument', "unsupported Content-Type header (): must be 'application/json'")
  const type = header.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/json') return
  throw new DewarError(
    'invalid-argument',
    `unsupported Content-Type header (${type}): must be 'application/json'`,
  )
}

export function parseJson(body: Buffer): unknown {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return parsed
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'not JSON'
    // V8 quotes the text it read; a body may hold a password.
    throw new DewarError(
      'invalid-argument',
      `invalid JSON: ${reason.split(/ in JSON|, ["']|is not valid/, 1)[0]?.trim() ?? ''}`,
    )
  }
}
