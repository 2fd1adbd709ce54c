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
const LOCAL = { maxSize: '20m', maxFiles: '5' }

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
    checkOption(key, value)
  }
  checkDelivery(config)
}

function checkOption(key: string, value: string): void {
  if (key === 'max-size' && !isSize(value)) refuse(`invalid size: '${value}'`)
  if (key === 'max-file' && !/^[1-9][0-9]{0,2}$/.test(value))
    refuse(`max-file: '${value}' is not a number from 1 to 999`)
  if (key === 'compress' && compresses(value) === undefined)
    refuse(`invalid compress value '${value}'`, 'say true or false')
  if (key === 'tag' && tagFields(value) === undefined)
    refuse(
      `invalid log tag template ${JSON.stringify(value)}`,
      'use {{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageID}}, {{.ImageFullID}}, {{.ImageName}}, {{.DaemonName}}',
    )
}

function isSize(text: string): boolean {
  return /^(-1|[0-9]+(\.[0-9]+)?\s*[kmgt]?i?b?)$/i.test(text)
}

function checkDelivery({ mode = '', 'max-buffer-size': buffer }: LogConfig['config']): void {
  if (!['', 'blocking', 'non-blocking'].includes(mode)) refuse(`logger: logging mode not supported: ${mode}`)
  if (buffer === undefined) return
  if (mode !== 'non-blocking')
    refuse("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
  if (!isSize(buffer)) refuse(`invalid size: '${buffer}'`)
}

/** Go's spellings of a boolean; undefined for anything else. */
function compresses(value: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value) ? false : undefined
}

export function logWarnings({ type, config }: LogConfig): string[] {
  const warnings: string[] = []
  if (type === 'none') return warnings
  if (type === 'local')
    warnings.push('The local log driver is kept in json-file format by this engine, and not compressed.')
  else if (compresses(config['compress'] ?? '') === true)
    warnings.push('Log files that were rotated away are not compressed by this engine.')
  if (config['mode'] === 'non-blocking')
    warnings.push(
      'Logs are always written in blocking mode by this engine: a full disk holds the container up.',
    )
  return warnings
}

/** In bytes; 0 is unlimited. Undefined when nothing is kept. */
export function logLimits({
  type,
  config,
}: LogConfig): { readonly maxSize: number; readonly maxFiles: number } | undefined {
  if (type === 'none') return undefined
  const local = type === 'local'
  return {
    maxSize: parseSize(config['max-size'] ?? (local ? LOCAL.maxSize : undefined)),
    maxFiles: Number(config['max-file'] ?? (local ? LOCAL.maxFiles : 1)),
  }
}

/** "10m" → bytes; -1, nothing and 0 are unlimited. Checked when the container is created. */
export function parseSize(text: string | undefined): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?$/i.exec(text ?? '')
  if (match === null) return 0
  const power = ['', 'k', 'm', 'g', 't'].indexOf((match[2] ?? '').toLowerCase())
  return Math.floor(Number(match[1]) * 1024 ** power)
}
