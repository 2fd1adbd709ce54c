/** Registry credentials as clients send them: base64url JSON in X-Registry-Auth, or a body for /auth. */
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { AuthConfig } from '../engine/types.ts'
import { codec, field } from './codec.ts'

const text = z.string()

export const AUTH = codec(
  'AuthConfig',
  z.object({
    username: field(text),
    password: field(text),
    auth: field(text),
    serverAddress: field(text),
    identityToken: field(text),
    registryToken: field(text),
  }),
)

/** Undefined without the header or with an empty one. Throws invalid-argument when it cannot be read; never quotes it. */
export function parseAuthHeader(header: string | undefined): AuthConfig | undefined {
  if (header === undefined || header === '') return undefined
  const decoded = parseQuietly(Buffer.from(header, 'base64url').toString('utf8'))
  if (typeof decoded !== 'object' || decoded === null || Array.isArray(decoded)) {
    throw new DewarError('invalid-argument', 'invalid X-Registry-Auth header: not base64url encoded JSON')
  }
  const auth = AUTH.decode(decoded)
  return Object.keys(auth).length === 0 ? undefined : auth
}

function parseQuietly(json: string): unknown {
  try {
    const parsed: unknown = JSON.parse(json)
    return parsed
  } catch {
    return undefined
  }
}
