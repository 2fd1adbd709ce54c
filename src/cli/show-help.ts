import type { Command } from 'commander'
import type { World } from './cli.ts'
import type { CommandSpec } from './command-spec.ts'
import { commandHelp, commandList, flagLines } from './help.ts'
import type { Listed } from './help.ts'
import { COMMANDS, GROUPS, resolveName } from './registry.ts'
import { GLOBAL } from './run-argv.ts'

const COMMON = ['run', 'exec', 'ps', 'pull', 'push', 'images', 'login', 'logout', 'version', 'info', 'engine']
/** `dewar --help`, `dewar help run`, `dewar help container ls`. */
export async function showHelp(words: readonly string[], world: World): Promise<number> {
  const [name, ...rest] = words
  if (name === undefined) {
    world.stdout.write(await rootHelp())
    return 0
  }
  if (GROUPS[name] !== undefined && rest.length === 0) {
    world.stdout.write(await textOfGroup(name))
    return 0
  }
  const resolved = await resolveName(name, rest)
  if (resolved.kind === 'spec') world.stdout.write(commandHelp(resolved.path, resolved.spec))
  return 0
}

async function rootHelp(): Promise<string> {
  const all = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => listed(name, await load())),
  )
  const groups = Object.entries(GROUPS).map(([name, group]) => ({ name, summary: group.summary }))
  const common = COMMON.flatMap((name) => all.filter((entry) => entry.name === name))
  const others = all.filter((entry) => !COMMON.includes(entry.name)).sort(byName)
  const width = Math.max(...[...all, ...groups].map(({ name }) => name.length)) + 2
  return [
    'Usage:  dewar [OPTIONS] COMMAND',
    GLOBAL.summary,
    commandList('Common Commands', common, width),
    commandList('Management Commands', groups.sort(byName), width),
    commandList('Commands', others, width),
    `Global Options:\n${flagLines(Object.entries(GLOBAL.flags).filter(([, flag]) => flag.hidden !== true)).join('\n')}`,
    `Examples:\n${GLOBAL.examples.flatMap(({ command, about }) => [`  # ${about}`, `  ${command}`]).join('\n')}`,
    "Run 'dewar COMMAND --help' for more information on a command.\n",
  ].join('\n\n')
}

async function textOfGroup(name: string): Promise<string> {
  const group = GROUPS[name]
  const entries = Object.entries(group?.commands ?? {})
  const all = await Promise.all(entries.map(async ([typed, load]) => listed(typed, await load())))
  const width = Math.max(...all.map((entry) => entry.name.length)) + 2
  return [
    `Usage:  dewar ${name} COMMAND`,
    group?.summary ?? '',
    commandList('Commands', all.sort(byName), width),
    `Run 'dewar ${name} COMMAND --help' for more information on a command.\n`,
  ].join('\n\n')
}

/** Registers a group so that naming it alone shows its help. */
export function groupHelp(program: Command, name: string, out: NodeJS.WriteStream): void {
  program
    .command(name)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async () => void out.write(await textOfGroup(name)))
}

function listed(name: string, spec: CommandSpec): Listed {
  return { name, summary: spec.summary }
}

function byName(a: Listed, b: Listed): number {
  return a.name < b.name ? -1 : 1
}
