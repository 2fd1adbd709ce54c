/** What registries answer, in the words dockerd passes on to its clients. */
import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import { familiarName, familiarReference } from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import { bodyOf } from './http.ts'
import type { HttpResponse } from './http.ts'

/** A registry said no. `code` is from the distribution specification ("MANIFEST_UNKNOWN") or empty. */
export class RegistryRefused extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, status: number, message: string) {
    super(message)
    this.name = 'RegistryRefused'
    this.code = code
    this.status = status
  }
}

const ERRORS = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string().default('') })).min(1),
})
const ERROR_BYTES_MAX = 64 * 1024
/** distribution's registry/api/errcode: what stands when a registry gives no message of its own. */
const MESSAGES: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'authentication required',
  DENIED: 'requested access to the resource is denied',
  MANIFEST_UNKNOWN: 'manifest unknown',
  NAME_UNKNOWN: 'repository name not known to registry',
  TOOMANYREQUESTS: 'too many requests',
}

export async function refusal(response: HttpResponse): Promise<RegistryRefused> {
  const { status } = response
  const text = (await bodyOf(response, ERROR_BYTES_MAX).catch(() => Buffer.alloc(0))).toString('utf8')
  const scope = /error="insufficient_scope"/.test(String(response.headers['www-authenticate'] ?? ''))
  if (status === 401 && scope) return refused('DENIED', status)
  const parsed = ERRORS.safeParse(jsonOr(text))
  const first = parsed.success ? parsed.data.errors[0] : undefined
  if (first !== undefined) return refused(first.code, status, first.message)
  const byStatus = { 401: 'UNAUTHORIZED', 403: 'DENIED', 429: 'TOOMANYREQUESTS' }[status]
  if (byStatus !== undefined) return refused(byStatus, status)
  const words = `received unexpected HTTP status: ${status} ${STATUS_CODES[status] ?? ''}`.trim()
  return new RegistryRefused('', status, words)
}

function refused(code: string, status: number, told = ''): RegistryRefused {
  const message = told === '' ? (MESSAGES[code] ?? 'unknown error') : told
  return new RegistryRefused(
    code,
    status,
    `${code.toLowerCase().replaceAll('_', ' ')}: ${printable(message)}`,
  )
}

/** A registry's words end up on a terminal. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, 1000)
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An answer to the request for a manifest. */
export function pullError(error: RegistryRefused, reference: Reference): DewarError {
  const cause = { cause: error }
  const name = familiarName(reference)
  switch (error.code) {
    case 'DENIED':
      return new DewarError(
        'not-found',
        `pull access denied for ${name}, repository does not exist or may require 'docker login': ${error.message}`,
        cause,
      )
    case 'MANIFEST_UNKNOWN':
      return new DewarError(
        'not-found',
        `manifest for ${familiarReference(reference)} not found: ${error.message}`,
        cause,
      )
    case 'NAME_UNKNOWN':
      return new DewarError('not-found', `repository ${name} not found: ${error.message}`, cause)
    default:
      if (error.status === 404) {
        return new DewarError(
          'not-found',
          `manifest for ${familiarReference(reference)} not found: manifest unknown: manifest unknown`,
          cause,
        )
      }
      return new DewarError('system', error.message, cause)
  }
}
