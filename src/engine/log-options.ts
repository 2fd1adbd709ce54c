/** `--log-driver` and `--log-opt`: what is taken, what is refused in dockerd's words, what is said about it. Pure. */
import { DewarError } from '../base/errors.ts'
import { tagFields } from './log-attributes.ts'
import type { HostConfig } from './types.ts'

type LogConfig = HostConfig['logConfig']

const ROTATION = ['max-size', 'max-file', 'compress']
const DELIVERY = ['mode', 'max-buffer-size']
const ATTRIBUTES = ['labels', 'labels-regex', 'env', 'env-regex', 'tag']

/** `none` keeps nothing and takes whatever is said about it, as with dockerd. */
const DRIVERS: Readonly<Record<string, ReadonlySet<string> | undefined>> = {
  'json-file': new Set([...ROTATION, ...DELIVERY, ...ATTRIBUTES]),
  local: new Set([...ROTATION, ...DELIVERY, ...ATTRIBUTES]),
  none: undefined,
}

/** Those of dockerd's local driver; json-file grows without end there, too. */
const LOCAL = { maxSize: 20 * 1024 * 1024, maxFiles: 5 }
/** Each is renamed at each rotation; dockerd knows no bound. */
const MOST_FILES = 999

function refuse(message: string, remedy?: string): never {
  throw new DewarError('invalid-argument', message, remedy === undefined ? {} : { remedy })
}

export function checkLog({ type, config }: LogConfig): void {
  if (!Object.hasOwn(DRIVERS, type))
    refuse(`logger: no log driver named '${type}' is registered`, 'use json-file, local or none')
  const known = DRIVERS[type]
  if (known === undefined) return
  for (const [key, value] of Object.entries(config)) {
    if (!known.has(key)) refuse(`unknown log opt '${key}' for ${type} log driver`)
    if (key === 'tag') checkTag(value)
  }
  checkDelivery(config)
  if (type === 'local') checkLocal(config)
  else checkJsonFile(config)
}

function checkTag(value: string): void {
  if (tagFields(value) === undefined)
    refuse(
      `invalid log tag template ${JSON.stringify(value)}`,
      'use {{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageID}}, {{.ImageFullID}}, {{.ImageName}}, {{.DaemonName}}',
    )
}

/** What dockerd says at the start, at the create; in the order in which it looks. */
function checkJsonFile(config: LogConfig['config']): void {
  const { 'max-size': size, 'max-file': count, compress } = config
  if (size !== undefined) {
    checkSize(size)
    if (!isPositive(size)) refuse('max-size must be a positive number')
  }
  if (count !== undefined && fileCount(count) < 1) refuse('max-file cannot be less than 1')
  const rotates = size !== undefined && fileCount(count ?? '1') > 1
  if (compress !== undefined && compresses(compress) && !rotates)
    refuse('compress cannot be true when max-file is less than 2 or max-size is not set')
}

/** It says which option is meant, takes 0, and compresses unless it is told not to. */
function checkLocal(config: LogConfig['config']): void {
  const { 'max-size': size, 'max-file': count, compress } = config
  if (size !== undefined) checkSize(size, `invalid value for max-size: ${size}: `)
  const files =
    count === undefined ? LOCAL.maxFiles : fileCount(count, `invalid value for max-file: ${count}: `)
  const packs = compress === undefined || compresses(compress, 'error reading compress log option: ')
  if (size !== undefined && !isPositive(size) && parseSize(size) > 0)
    refuse('max size should be a positive number')
  if (files < 0) refuse('max file count cannot be less than 0')
  if (packs && files < 2) refuse('compression cannot be enabled when max file count is 1')
}

const SIZE = /^([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?$/i

function checkSize(text: string, where = ''): void {
  if (!SIZE.test(text)) refuse(`${where}invalid size: '${text}'`)
}

/** In dockerd too large a one overflows, and is negative. */
function isPositive(size: string): boolean {
  const bytes = parseSize(size)
  return bytes > 0 && bytes < 2 ** 63
}

function fileCount(text: string, where = ''): number {
  if (!/^[+-]?[0-9]+$/.test(text)) refuse(`${where}strconv.Atoi: parsing "${text}": invalid syntax`)
  const count = Number(text)
  if (count > MOST_FILES) refuse(`max-file: '${text}' is more than ${MOST_FILES}`)
  return count
}

function checkDelivery({ mode = '', 'max-buffer-size': buffer }: LogConfig['config']): void {
  if (!['', 'blocking', 'non-blocking'].includes(mode)) refuse(`logger: logging mode not supported: ${mode}`)
  if (buffer === undefined) return
  if (mode !== 'non-blocking')
    refuse("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
  checkSize(buffer, 'error parsing option max-buffer-size: ')
}

/** Go's spellings of a boolean. */
function compresses(value: string, where = ''): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false
  return refuse(`${where}strconv.ParseBool: parsing "${value}": invalid syntax`)
}

export function logWarnings({ type, config }: LogConfig): string[] {
  const warnings: string[] = []
  if (type === 'none') return warnings
  if (type === 'local')
    warnings.push('The local log driver is kept in json-file format by this engine, and not compressed.')
  else if (compresses(config['compress'] ?? 'false'))
    warnings.push('Log files that were rotated away are not compressed by this engine.')
  if (config['mode'] === 'non-blocking')
    warnings.push(
      'Logs are always written in blocking mode by this engine: a slow disk holds the container up, a full one loses lines.',
    )
  return warnings
}

/** In bytes; 0 is unlimited. Undefined when nothing is kept. */
export function logLimits({
  type,
  config,
}: LogConfig): { readonly maxSize: number; readonly maxFiles: number } | undefined {
  if (type === 'none') return undefined
  const { 'max-size': size, 'max-file': count } = config
  const without = type === 'local' ? LOCAL : { maxSize: 0, maxFiles: 1 }
  return {
    maxSize: size === undefined ? without.maxSize : parseSize(size),
    maxFiles: Math.max(1, Number(count ?? without.maxFiles)),
  }
}

/** "10m" → bytes, decimal as dockerd's; 0 is unlimited, as is the "-1" that older records may have. */
function parseSize(text: string): number {
  const match = SIZE.exec(text)
  if (match === null) return 0
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf((match[2] ?? '').toLowerCase())
  return Math.floor(Number(match[1]) * 1000 ** power)
}
