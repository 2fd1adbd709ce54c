/** Which log drivers can be read. */
import { DewarError } from '../base/errors.ts'
import type { Container } from './container.ts'

/** Throws in dockerd's words when what the container said is kept nowhere. */
export function checkReadable({ record }: Container): void {
  if (record.hostConfig.logConfig.type === 'none')
    throw new DewarError('not-implemented', 'configured logging driver does not support reading')
}
