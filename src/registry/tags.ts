/** All tags of a repository, for `pull --all-tags`. */
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { Reference } from '../store/reference.ts'
import type { Credentials } from './auth.ts'
import type { RegistryOptions } from './endpoints.ts'
import { pullError, RegistryRefused } from './errors.ts'
import { bodyOf } from './http.ts'
import { withRepository } from './repository.ts'

const TAGS = z.object({ tags: z.array(z.string()).nullish() })
const BYTES_MAX = 8 * 1024 * 1024

export async function listTags(
  reference: Reference,
  credentials: Credentials | undefined,
  registry: RegistryOptions,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    return await withRepository(reference, { actions: 'pull', credentials, registry }, async (repository) => {
      const response = await repository.ask({ method: 'GET', path: 'tags/list', expect: [200], signal })
      const parsed = TAGS.safeParse(JSON.parse((await bodyOf(response, BYTES_MAX)).toString('utf8')))
      if (!parsed.success)
        throw new DewarError(
          'system',
          `Listing the tags of ${reference.path} failed: the answer is malformed`,
        )
      return parsed.data.tags ?? []
    })
  } catch (error) {
    throw error instanceof RegistryRefused ? pullError(error, reference) : error
  }
}
