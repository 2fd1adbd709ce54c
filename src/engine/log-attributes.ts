/** What `--log-opt labels=…`, `env=…` and `tag=…` add to each line, in the log and in `logs --details`. Pure. */
import { DewarError } from '../base/errors.ts'
import { linearPattern } from '../base/linear-pattern.ts'
import type { ContainerRecord } from './record.ts'

type Named = Pick<ContainerRecord, 'id' | 'name' | 'imageId' | 'config' | 'hostConfig'>

/** `key=value` pairs joined by commas, URL-encoded, in the order of their keys; "" when there are none. */
export function logAttributes(record: Named): string {
  return attributes(record)
    .map(([key, value]) => `${escape(key)}=${escape(value)}`)
    .join(',')
}

/** The same as the JSON object that a line of the log has as `attrs`, escaped as Go escapes; "" when there are none. */
export function lineAttributes(record: Named): string {
  const pairs = attributes(record).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
  if (pairs.length === 0) return ''
  return `{${pairs.join(',')}}`.replace(/[<>&\u2028\u2029]/g, unicodeEscape)
}

/** Bytes, as they stand in the log. All of them are in each line, and its reader takes no line of 4 MiB (log-files.ts). */
const MOST_ATTRIBUTES = 1024 * 1024

/** At the create, and at a start: a name that was changed since may be in the tag. */
export function checkLineAttributes(record: Named): void {
  if (record.hostConfig.logConfig.type === 'none') return
  const size = Buffer.byteLength(lineAttributes(record))
  if (size > MOST_ATTRIBUTES)
    throw new DewarError(
      'invalid-argument',
      `the attributes of each log line would be ${size} bytes, more than ${MOST_ATTRIBUTES}`,
      {
        remedy:
          'choose fewer or shorter ones with the log options labels, labels-regex, env, env-regex and tag',
      },
    )
}

const unicodeEscape = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`

/** In the order of their keys. */
function attributes(record: Named): readonly [string, string][] {
  const { config, hostConfig } = record
  const options = hostConfig.logConfig.config
  const env = config.env.flatMap((entry): [string, string][] => {
    const at = entry.indexOf('=')
    return at === -1 ? [] : [[entry.slice(0, at), entry.slice(at + 1)]]
  })
  const found = new Map([
    ...chosen(Object.entries(config.labels), options['labels'], options['labels-regex']),
    ...chosen(env, options['env'], options['env-regex']),
  ])
  const tag = options['tag'] ?? ''
  if (tag !== '') found.set('tag', tagText(tag, record))
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

function chosen(
  all: readonly [string, string][],
  names: string | undefined,
  pattern: string | undefined,
): [string, string][] {
  const wanted = new Set(names?.split(',') ?? [])
  const matches = pattern === undefined || pattern === '' ? undefined : linearPattern(pattern)
  return all.filter(([key]) => wanted.has(key) || matches?.(key) === true)
}

/** Go's url.QueryEscape. Half of a surrogate pair, which an image's label may have, makes encodeURIComponent throw. */
function escape(text: string): string {
  return encodeURIComponent(text.replace(/\p{Cs}/gu, '\uFFFD'))
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}

const TAG_FIELD = /\{\{\s*\.(\w+)\s*\}\}/g

/** The fields of dockerd's tag templates; undefined for a template that is more than these. */
export function tagFields(tag: string): readonly string[] | undefined {
  if (/\{\{|\}\}/.test(tag.replaceAll(TAG_FIELD, ''))) return undefined
  const names = [...tag.matchAll(TAG_FIELD)].map(([, name = '']) => name)
  return names.every((name) => name in FIELDS) ? names : undefined
}

const FIELDS: Readonly<Record<string, (record: Named) => string>> = {
  ID: ({ id }) => id.slice(0, 12),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  ImageID: ({ imageId }) => imageId.replace('sha256:', '').slice(0, 12),
  ImageFullID: ({ imageId }) => imageId,
  ImageName: ({ config }) => config.image,
  DaemonName: () => 'docker',
}

function tagText(tag: string, record: Named): string {
  return tag.replaceAll(TAG_FIELD, (_, name: string) => FIELDS[name]?.(record) ?? '')
}
