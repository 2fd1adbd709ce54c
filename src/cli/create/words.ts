/** Checks and readings of single flag values; each throws Error with docker's words. */
import { isIP } from 'node:net'
import { parseBytes } from '../text/size.ts'
import { cut } from './ports.ts'

export function attachWord(word: string): string {
  const lower = word.toLowerCase()
  if (['stdin', 'stdout', 'stderr'].includes(lower)) return lower
  throw new Error('valid streams are STDIN, STDOUT and STDERR')
}

export function labelWord(word: string): string {
  const key = cut(word, '=')[0].replace(/^[ \t]+/, '')
  if (key === '') throw new Error(`invalid label '${word}': empty name`)
  if (/[ \t]/.test(key)) throw new Error(`label '${key}' contains whitespaces`)
  return word
}

/** --link NAME[:ALIAS] */
export function linkWord(word: string): string {
  const parts = word.split(':')
  if (word === '') throw new Error('empty string specified for links')
  if (parts.length > 2) throw new Error(`bad format for links: ${word}`)
  return word
}

export function ipWord(word: string): string {
  if (isIP(word.trim()) === 0) throw new Error(`IP address is not correctly formatted: ${word}`)
  return word.trim()
}

/** host:ip or host=ip, also "host-gateway" and IPv6 in brackets; the API has host:ip. */
export function extraHostWord(word: string): string {
  const [host, ip] = word.includes('=') ? cut(word, '=') : cut(word, ':')
  if (ip === undefined || host === '') throw new Error(`bad format for add-host: "${word}"`)
  if (ip === 'host-gateway') return `${host}:${ip}`
  const bare = /^\[(.*)\]$/.exec(ip)?.[1] ?? ip
  if (isIP(bare) === 0) throw new Error(`invalid IP address in add-host: "${bare}"`)
  return `${host}:${bare}`
}

const SYSCTLS = new Set(
  ['msgmax', 'msgmnb', 'msgmni', 'sem', 'shmall', 'shmmax', 'shmmni', 'shm_rmid_forced'].map(
    (name) => `kernel.${name}`,
  ),
)

export function sysctlWord(word: string): string {
  const [key, value] = cut(word, '=')
  if (value !== undefined && (SYSCTLS.has(key) || key.startsWith('net.') || key.startsWith('fs.mqueue.')))
    return word
  throw new Error(`sysctl '${word}' is not allowed`)
}

const ULIMITS = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
)

export interface Ulimit {
  readonly Name: string
  readonly Hard: number
  readonly Soft: number
}

/** nofile=1024:2048, core=-1 */
export function parseUlimit(word: string): Ulimit {
  const [name, limits] = cut(word, '=')
  if (limits === undefined) throw new Error(`invalid ulimit argument: ${word}`)
  if (!ULIMITS.has(name)) throw new Error(`invalid ulimit type: ${name}`)
  const parts = limits.split(':')
  if (parts.length > 2)
    throw new Error(`too many limit value arguments - ${limits}, can only have up to two, \`soft[:hard]\``)
  const [soft = 0, hard = soft] = parts.map((part) => {
    if (!/^[+-]?\d+$/.test(part)) throw new Error(`strconv.ParseInt: parsing "${part}": invalid syntax`)
    return Number(part)
  })
  if (hard !== -1 && soft === -1)
    throw new Error(
      `ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${hard}`,
    )
  if (hard !== -1 && soft > hard)
    throw new Error(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`)
  return { Name: name, Hard: hard, Soft: soft }
}

export function parseWeightDevice(word: string): { Path: string; Weight: number } {
  const { path, value } = devicePair(word)
  const weight = Number(value)
  if (!/^\d+$/.test(value) || (weight > 0 && (weight < 10 || weight > 1000)))
    throw new Error(`invalid weight for device: ${word}`)
  return { Path: path, Weight: weight }
}

export function parseRate(word: string): { Path: string; Rate: number } {
  const { path, value } = devicePair(word)
  try {
    return { Path: path, Rate: parseBytes(value) }
  } catch {
    throw new Error(
      `invalid rate for device: ${word}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
    )
  }
}

export function parseOperations(word: string): { Path: string; Rate: number } {
  const { path, value } = devicePair(word)
  if (!/^\d+$/.test(value)) {
    throw new Error(
      `invalid rate for device: ${word}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    )
  }
  return { Path: path, Rate: Number(value) }
}

function devicePair(word: string): { path: string; value: string } {
  const [path, value] = cut(word, ':')
  if (value === undefined || path === '') throw new Error(`bad format: ${word}`)
  if (!path.startsWith('/dev/')) throw new Error(`bad format for device path: ${word}`)
  return { path, value }
}

export function deviceRuleWord(word: string): string {
  if (/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(word)) return word
  throw new Error(`invalid device cgroup format '${word}'`)
}

/** --cpus 1.5 → 1500000000. */
export function parseCpus(word: string): number {
  const match = /^(\d+)(?:\.(\d+))?$|^\.(\d+)$/.exec(word)
  if (match === null) throw new Error(`failed to parse ${word} as a rational number`)
  const fraction = match[2] ?? match[3] ?? ''
  if (fraction.length > 9) throw new Error('value is too precise')
  return Number(match[1] ?? 0) * 1e9 + Number(fraction.padEnd(9, '0'))
}

/** --memory-swap: bytes, or -1 for no limit. */
export function parseMemorySwap(word: string): number {
  return word === '-1' ? -1 : parseBytes(word)
}

/** --restart no|always|unless-stopped|on-failure[:N]; what names are good the engine decides. */
export function parseRestart(policy: string): { Name: string; MaximumRetryCount: number } {
  const [name, count] = cut(policy, ':')
  if (count !== undefined && name === '')
    throw new Error('invalid restart policy format: no policy provided before colon')
  if (count !== undefined && count !== '' && !/^[+-]?\d+$/.test(count)) {
    throw new Error('invalid restart policy format: maximum retry count must be an integer')
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) }
}
