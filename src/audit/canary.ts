import { randomBytes } from 'node:crypto'

/** A random word that nothing else on earth contains; seen somewhere, it proves that what it was put into was seen. */
export interface Canary {
  /** What it was planted in: `file`, `env`, `argv`, … one canary for one asset. */
  readonly asset: string
  /** 32 hex digits (128 bit); fit for names, argv, variables. */
  readonly text: string
  readonly bytes: Buffer
}

export function makeCanary(asset: string): Canary {
  const text = randomBytes(16).toString('hex')
  return { asset, text, bytes: Buffer.from(text) }
}

/** For places that hold 15 bytes (process names): 52 bits. */
export function shortName(canary: Canary): string {
  return `LC${canary.text.slice(0, 13)}`
}

/** Canaries that occur in the bytes. */
export function occurring(bytes: Buffer, canaries: readonly Canary[]): readonly Canary[] {
  return canaries.filter((canary) => bytes.includes(canary.bytes))
}
