/** `--name=value` of an instruction. */
import { DewarError } from '../../base/errors.ts'

export interface FlagNames {
  readonly value: readonly string[]
  /** Switches. */
  readonly flag: readonly string[]
  /** May be given several times; the last value is kept. */
  readonly repeated?: readonly string[]
}

/** Throws invalid-argument in dockerd's words. */
export function flagsOf(words: readonly string[], names: FlagNames): ReadonlyMap<string, string> {
  const flags = new Map<string, string>()
  for (const word of words) {
    const equals = word.indexOf('=')
    const name = word.slice(2, equals < 0 ? undefined : equals)
    const isSwitch = names.flag.includes(name)
    if (!isSwitch && !names.value.includes(name)) throw bad(`Unknown flag: ${name}`)
    if (flags.has(name) && names.repeated?.includes(name) !== true)
      throw bad(`Duplicate flag specified: ${name}`)
    if (equals < 0 && !isSwitch) throw bad(`Missing a value on flag: ${name}`)
    const value = equals < 0 ? 'true' : word.slice(equals + 1)
    if (isSwitch && value !== 'true' && value !== 'false')
      throw bad(`Expecting boolean value for flag ${name}, not: ${value}`)
    flags.set(name, value)
  }
  return flags
}

function bad(message: string): DewarError {
  return new DewarError('invalid-argument', message)
}
