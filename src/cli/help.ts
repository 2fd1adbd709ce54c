import type { AnyFlag, CommandSpec } from './command-spec.ts'

/** The help of one command, laid out as docker's, with examples. */
export function commandHelp(path: string, spec: CommandSpec): string {
  const sections = [`Usage:  ${path}${spec.usage === '' ? '' : ` ${spec.usage}`}`, spec.summary]
  const flags = Object.entries(spec.flags).filter(([, flag]) => flag.hidden !== true)
  if (flags.length > 0) sections.push(`Options:\n${flagLines(flags).join('\n')}`)
  if (spec.examples.length > 0) sections.push(`Examples:\n${exampleLines(spec).join('\n')}`)
  return `${sections.join('\n\n')}\n`
}

export function usageLine(path: string, spec: CommandSpec): string {
  return `Usage:  ${path}${spec.usage === '' ? '' : ` ${spec.usage}`}`
}

function exampleLines(spec: CommandSpec): string[] {
  return spec.examples.flatMap(({ command, about }) => [`  # ${about}`, `  ${command}`])
}

export function flagLines(flags: readonly (readonly [string, AnyFlag])[]): string[] {
  const terms = flags.map(([name, flag]) => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `
    return { term: `${short}--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`, flag }
  })
  const width = Math.max(...terms.map(({ term }) => term.length)) + 3
  return terms.map(({ term, flag }) => `  ${term.padEnd(width)}${flag.summary}${initialNote(flag)}`)
}

function initialNote(flag: AnyFlag): string {
  const { initial } = flag
  if (typeof initial === 'string' && initial !== '') return ` (default "${initial}")`
  if (initial === true) return ' (default true)'
  if (typeof initial === 'number' && initial !== 0) return ` (default ${initial})`
  return ''
}

export interface Listed {
  readonly name: string
  readonly summary: string
}

/** A titled list of commands. */
export function commandList(title: string, commands: readonly Listed[], width: number): string {
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`)
  return `${title}:\n${lines.join('\n')}`
}
