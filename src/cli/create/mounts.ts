import { isAbsolute, resolve } from 'node:path'
import { parseBytes } from '../text/size.ts'
import { cut } from './ports.ts'

/** One --mount in the API's words; fields stand in the order docker writes them. */
export interface Mount {
  Type?: string
  Source?: string
  Target?: string
  ReadOnly?: boolean
  Consistency?: string
  BindOptions?: {
    Propagation?: string
    NonRecursive?: boolean
    ReadOnlyNonRecursive?: boolean
    ReadOnlyForceRecursive?: boolean
  }
  VolumeOptions?: {
    NoCopy?: boolean
    Labels?: Record<string, string>
    Subpath?: string
    DriverConfig?: { Name?: string; Options?: Record<string, string> }
  }
  ImageOptions?: { Subpath?: string }
  TmpfsOptions?: { SizeBytes?: number; Mode?: number }
}

type Setter = (mount: Mount, value: string, key: string) => void

/**
 * Reads --mount: type=bind,source=/src,target=/dst,readonly; fields are CSV, so a comma can be quoted.
 *
 * @example
 * parseMount('type=tmpfs,target=/t,tmpfs-size=1m', '/') // { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1048576 } }
 */
export function parseMount(spec: string, cwd: string): Mount {
  const mount: Mount = { Type: 'volume' }
  for (const field of splitCsv(spec)) {
    const [given, value] = cut(field, '=')
    const key = given.toLowerCase()
    const set = key === 'source' || key === 'src' ? sourceSetter(cwd) : SETTERS[key]
    if (value === undefined) {
      if (!SWITCHES.has(key) || set === undefined)
        throw new Error(`invalid field '${field}' must be a key=value pair`)
      set(mount, 'true', key)
      continue
    }
    if (set === undefined) throw new Error(`unexpected key '${key}' in '${field}'`)
    set(mount, value, key)
  }
  checkMount(mount)
  return mount
}

const SWITCHES = new Set(['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive'])

function sourceSetter(cwd: string): Setter {
  return (mount, value) => {
    mount.Source = !isAbsolute(value) && value.startsWith('.') ? resolve(cwd, value) : value
  }
}

const setTarget: Setter = (mount, value) => void (mount.Target = value)
const setReadOnly: Setter = (mount, value, key) => assignTrue(mount, 'ReadOnly', boolOf(value, key))

const SETTERS: Readonly<Record<string, Setter>> = {
  type: (mount, value) => void (mount.Type = value.toLowerCase()),
  target: setTarget,
  dst: setTarget,
  destination: setTarget,
  readonly: setReadOnly,
  ro: setReadOnly,
  consistency: (mount, value) => void (mount.Consistency = value.toLowerCase()),
  'bind-propagation': (mount, value) => void (bind(mount).Propagation = value.toLowerCase()),
  'bind-nonrecursive': (mount, value, key) => assignTrue(bind(mount), 'NonRecursive', boolOf(value, key)),
  'bind-recursive': setRecursive,
  'volume-subpath': (mount, value) => void (volume(mount).Subpath = value),
  'volume-nocopy': (mount, value, key) => assignTrue(volume(mount), 'NoCopy', boolOf(value, key)),
  'volume-label': (mount, value) => addPair((volume(mount).Labels ??= {}), value),
  'volume-driver': (mount, value) => void (driver(mount).Name = value),
  'volume-opt': (mount, value) => addPair((driver(mount).Options ??= {}), value),
  'image-subpath': (mount, value) => void ((mount.ImageOptions ??= {}).Subpath = value),
  'tmpfs-size': (mount, value, key) => void ((mount.TmpfsOptions ??= {}).SizeBytes = sizeOf(value, key)),
  'tmpfs-mode': (mount, value, key) => void ((mount.TmpfsOptions ??= {}).Mode = octalOf(value, key)),
}

function setRecursive(mount: Mount, value: string, key: string): void {
  if (value === 'enabled') return
  if (value === 'disabled') bind(mount).NonRecursive = true
  else if (value === 'writable') bind(mount).ReadOnlyNonRecursive = true
  else if (value === 'readonly') bind(mount).ReadOnlyForceRecursive = true
  else
    throw new Error(
      `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
    )
}

function bind(mount: Mount): NonNullable<Mount['BindOptions']> {
  return (mount.BindOptions ??= {})
}

function volume(mount: Mount): NonNullable<Mount['VolumeOptions']> {
  mount.VolumeOptions ??= { DriverConfig: {} }
  return mount.VolumeOptions
}

function driver(mount: Mount): { Name?: string; Options?: Record<string, string> } {
  return (volume(mount).DriverConfig ??= {})
}

/** A false switch is left out, as Go's omitempty does. */
function assignTrue<K extends string>(target: { [P in K]?: boolean }, key: K, value: boolean): void {
  if (value) target[key] = true
}

function addPair(target: Record<string, string>, pair: string): void {
  const [key, value] = cut(pair, '=')
  if (key !== '') target[key] = value ?? ''
}

function boolOf(value: string, key: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false
  throw new Error(`invalid value for ${key}: ${value}`)
}

function sizeOf(value: string, key: string): number {
  try {
    return parseBytes(value)
  } catch {
    throw new Error(`invalid value for ${key}: ${value}`)
  }
}

function octalOf(value: string, key: string): number {
  if (!/^[0-7]+$/.test(value)) throw new Error(`invalid value for ${key}: ${value}`)
  return Number.parseInt(value, 8)
}

function checkMount(mount: Mount): void {
  const { Type: type = '', BindOptions: options } = mount
  if (type === '') throw new Error('type is required')
  if (mount.Target === undefined || mount.Target === '') throw new Error('target is required')
  const mixed = (kind: string): Error => new Error(`cannot mix '${kind}-*' options with mount type '${type}'`)
  if (mount.VolumeOptions !== undefined && type !== 'volume') throw mixed('volume')
  if (mount.ImageOptions !== undefined && type !== 'image') throw mixed('image')
  if (options !== undefined && type !== 'bind') throw mixed('bind')
  if (mount.TmpfsOptions !== undefined && type !== 'tmpfs') throw mixed('tmpfs')
  if (options?.ReadOnlyNonRecursive === true && mount.ReadOnly !== true) {
    throw new Error("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction")
  }
  if (options?.ReadOnlyForceRecursive !== true) return
  if (mount.ReadOnly !== true)
    throw new Error("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
  if (options.Propagation !== 'rprivate') {
    throw new Error(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    )
  }
}

/** One line of CSV: commas separate, "…" quotes, "" is a quote. */
export function splitCsv(line: string): string[] {
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^,"]*))(,|$)/y
  for (let at = 0; at <= line.length; at = field.lastIndex) {
    field.lastIndex = at
    const match = field.exec(line)
    if (match === null) throw new Error(`parse error on line 1, column ${at + 1}: bare " in non-quoted-field`)
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
    if (match[3] !== ',') break
  }
  return fields
}
