import { resolve } from 'node:path'

export interface Volumes {
  /** Source and target, as the API's Binds wants them. */
  readonly binds: readonly string[]
  /** Anonymous volumes: targets only. */
  readonly anonymous: Readonly<Record<string, object>>
}

/** Sorts -v out: HOST:TARGET[:OPTIONS] and NAME:TARGET are binds, TARGET alone is an anonymous volume. */
export function parseVolumes(specs: readonly string[], cwd: string): Volumes {
  const binds: string[] = []
  const anonymous: Record<string, object> = {}
  // Docker keeps -v in a map: the same one given twice counts once.
  for (const spec of new Set(specs)) {
    const source = sourceOf(spec)
    if (source === undefined) anonymous[spec] = {}
    else binds.push(source.startsWith('.') ? resolve(cwd, source) + spec.slice(source.length) : spec)
  }
  return { binds, anonymous }
}

function sourceOf(spec: string): string | undefined {
  if (spec === '') throw new Error('invalid empty volume spec')
  if (spec.length <= 2) return undefined
  const sections = spec.split(':')
  if (sections.some((section) => section === ''))
    throw new Error(`invalid spec: ${spec}: empty section between colons`)
  if (sections.length > 3) throw new Error(`invalid spec: ${spec}: too many colons`)
  return sections.length === 1 ? undefined : sections[0]
}
