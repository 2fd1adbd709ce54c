/** The options of the `local` volume driver: what is mounted on a volume while containers use it. Pure. */
import { DewarError } from '../base/errors.ts'
import { mountWords } from '../isolation/namespaces/mount-words.ts'
import type { Step } from '../kernel/plan.ts'

export type VolumeDriverOptions = Readonly<Record<string, string>>

const MNT_DETACH = 2
const KNOWN = ['type', 'o', 'device', 'size'] as const
const NEEDED: readonly (readonly [option: string, needs: string])[] = [
  ['device', 'type'],
  ['type', 'device'],
  ['o', 'device'],
  ['o', 'type'],
]

function refuse(message: string, remedy?: string): never {
  throw new DewarError('invalid-argument', message, remedy === undefined ? {} : { remedy })
}

/** Throws invalid-argument in dockerd's words. */
export function checkVolumeOptions(options: VolumeDriverOptions): void {
  const unknown = Object.keys(options).find((key) => !KNOWN.some((known) => known === key))
  if (unknown !== undefined)
    refuse(`invalid option: ${JSON.stringify(unknown)}`, `known are ${KNOWN.join(', ')}`)
  if (options['size'] !== undefined)
    refuse('quota size requested but no quota support', 'give a tmpfs its size by o=size=100m')
  for (const [option, needs] of NEEDED) {
    if (options[option] !== undefined && options[needs] === undefined)
      refuse(`missing required option: ${JSON.stringify(needs)}`)
  }
  if (Object.values(options).some((value) => value.includes('\0')))
    refuse('invalid option: it contains a null byte')
}

const wordsOf = (o: string): string[] => o.split(',').filter((word) => word !== '')

/** Of a folder that is there, `device`. */
export function isBind({ o = '' }: VolumeDriverOptions): boolean {
  return wordsOf(o).some((word) => word === 'bind' || word === 'rbind')
}

/** `address`: what a name in `addr=` stands for; the kernel takes addresses alone. */
export function volumeMountSteps(
  path: string,
  { type = '', o = '', device = '' }: VolumeDriverOptions,
  address?: string,
): Step[] {
  const all = wordsOf(o)
  const words = all.map((word) =>
    address !== undefined && word.startsWith('addr=') ? `addr=${address}` : word,
  )
  const { attrs, data, recursive } = mountWords(words)
  const bind = isBind({ o })
  const made: Step = bind
    ? { actor: 'host', op: 'clone-mount', path: device, slot: 0, recursive }
    : { actor: 'host', op: 'fsmount', slot: 0, type, options: [['source', device], ...data], attrs }
  const limited: Step[] =
    bind && attrs !== 0 ? [{ actor: 'host', op: 'mount-attr', slot: 0, set: attrs, clear: 0, recursive }] : []
  return [made, ...limited, { actor: 'host', op: 'attach-mount', path, slot: 0, create: false }]
}

export function volumeUnmountSteps(path: string): Step[] {
  return [{ actor: 'host', op: 'umount', path, flags: MNT_DETACH }]
}

/** The name in `o=addr=…` of a network file system that has to be looked up first. */
export function addressName({ type = '', o = '' }: VolumeDriverOptions): string | undefined {
  if (!/^(nfs|cifs)/.test(type)) return undefined
  const name = /(?:^|,)addr=([^,]+)/.exec(o)?.[1]
  return name === undefined || /^[0-9.]+$|:/.test(name) ? undefined : name
}

export function checkDriver(driver: string, options: Readonly<Record<string, string>>): void {
  if (driver !== '' && driver !== 'local') {
    throw new DewarError(
      'not-found',
      `error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      { remedy: 'this engine has the driver local' },
    )
  }
  checkVolumeOptions(options)
}
