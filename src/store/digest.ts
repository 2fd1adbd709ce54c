/** Digests as OCI writes them. Only SHA-256 is spoken: it is what images are made with and all that clients pin. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'

export type Digest = `sha256:${string}`

const SHA256 = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: string): text is Digest {
  return SHA256.test(text)
}

export const digestSchema = z.custom<Digest>(
  (value) => typeof value === 'string' && isDigest(value),
  'not a sha256 digest',
)

/** Throws `invalid-argument`; `what` names whose digest it is. */
export function parseDigest(text: unknown, what: string): Digest {
  if (typeof text === 'string' && isDigest(text)) return text
  throw new DewarError(
    'invalid-argument',
    `Reading ${what} failed: ${JSON.stringify(text)} is not a digest`,
    {
      remedy: 'only sha256:<64 hexadecimal digits> is supported',
    },
  )
}

export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`
}

export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** Names a stack of layers by what it holds (image-spec config.md, "Layer ChainID"); bottom first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`))
  }
  return chain
}

/** Passes bytes through and knows their digest and number. */
export class Digester {
  readonly #hash = createHash('sha256')
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#bytes += bytes.length
  }

  /** Once, at the end. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}`
  }

  async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const bytes of source) {
      this.update(bytes)
      yield bytes
    }
  }
}
