/** pax extended headers: "LENGTH KEY=VALUE\n" records (POSIX.1-2001, pax(1)). */
import { DewarError } from '../base/errors.ts'

/** Keys are byte strings, values raw. Repeated GNU.sparse.* records of format 0.0 are gathered under one key. */
export type Pax = ReadonlyMap<string, Buffer>

const SPARSE_LIST = 'GNU.sparse.list'

export function parsePax(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  const sparse: string[] = []
  for (let at = 0; at < bytes.length;) {
    const blank = bytes.indexOf(0x20, at)
    const digits = blank < 0 ? '' : bytes.toString('latin1', at, blank)
    const length = Number(digits)
    const end = at + length
    const equals = bytes.indexOf(0x3d, blank)
    const sound =
      /^[1-9]\d{0,7}$/.test(digits) &&
      end <= bytes.length &&
      bytes[end - 1] === 0x0a &&
      equals > blank &&
      equals < end
    if (!sound) throw paxError('a pax record is malformed')
    const key = bytes.toString('latin1', blank + 1, equals)
    const value = Buffer.from(bytes.subarray(equals + 1, end - 1))
    if (/^GNU\.sparse\.(offset|numbytes)$/.test(key)) sparse.push(value.toString('latin1'))
    else records.set(key, checked(key, value))
    at = end
  }
  if (sparse.length > 0) records.set(SPARSE_LIST, Buffer.from(sparse.join(','), 'latin1'))
  return records
}

/** A NUL would end the name early for the kernel, after our checks saw another one. */
function checked(key: string, value: Buffer): Buffer {
  if ((key === 'path' || key === 'linkpath' || key === 'GNU.sparse.name') && value.includes(0)) {
    throw paxError(`its ${key} contains a NUL`)
  }
  return value
}

function paxError(what: string): DewarError {
  return new DewarError('invalid-argument', `Reading the tar archive failed: ${what}`, {
    remedy: 'the archive is damaged or not a tar archive',
  })
}
