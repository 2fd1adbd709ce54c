import { Command } from 'commander'
import type { Cli } from './cli.ts'
import type { CommandSpec } from './command-spec.ts'
import { Failure } from './failure.ts'
import { commandHelp, usageLine } from './help.ts'
import { FlagError, parseFlags } from './parse-flags.ts'
import type { Resolved } from './registry.ts'

/** A command's end with an exit code; no failure. */
export class Ended extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super('')
    this.exitCode = exitCode
  }
}

/** commander finds the command; reading the flags is ours, because docker's rules are not commander's (see parse-flags.ts). */
class SpecCommand extends Command {
  override parseOptions(argv: string[]): { operands: string[]; unknown: string[] } {
    return { operands: [...argv], unknown: [] }
  }
}

/** The program with the one command that was asked for. */
export async function buildProgram(resolved: Resolved, cli: Cli): Promise<Command> {
  const program = new Command('dewar')
  program.enablePositionalOptions().exitOverride()
  program.configureOutput({
    writeOut: (text) => void cli.stdout.write(text),
    writeErr: (text) => void cli.stderr.write(text),
  })
  if (resolved.kind === 'group') {
    resolved.register(program, cli)
    return program
  }
  const parent = resolved.group === undefined ? program : program.command(resolved.group, { hidden: false })
  parent.exitOverride()
  parent.addCommand(specCommand(resolved.path, resolved.typed, resolved.spec, cli))
  return program
}

function specCommand(path: string, name: string, spec: CommandSpec, cli: Cli): Command {
  const leaf = new SpecCommand(name)
  leaf.allowExcessArguments().action(async () => {
    const code = await runSpec(path, spec, leaf.args, cli)
    if (code !== 0) throw new Ended(code)
  })
  return leaf
}

async function runSpec(path: string, spec: CommandSpec, argv: readonly string[], cli: Cli): Promise<number> {
  const parsed = parseOrExplain(path, spec, argv)
  if (parsed.help) {
    cli.stdout.write(commandHelp(path, spec))
    return 0
  }
  checkArity(path, spec, parsed.words.length)
  return spec.run(parsed.values, parsed.given, parsed.words, cli)
}

function parseOrExplain(
  path: string,
  spec: CommandSpec,
  argv: readonly string[],
): ReturnType<typeof parseFlags> {
  try {
    return parseFlags(argv, spec)
  } catch (error) {
    if (!(error instanceof FlagError)) throw error
    throw new Failure(
      `${error.message}\n\n${usageLine(path, spec)}\n\nRun '${path} --help' for more information`,
      spec.misuse,
    )
  }
}

/** Docker's words; it says "See" where at least n are wanted and "Run" elsewhere, and so do we. */
function checkArity(path: string, spec: CommandSpec, count: number): void {
  const { min, max } = spec.arity
  if (count >= min && count <= max) return
  const [wanted, verb] = requirement(min, max)
  throw new Failure(
    `dewar: '${path}' ${wanted}\n\n${usageLine(path, spec)}\n\n${verb} '${path} --help' for more information`,
    1,
  )
}

function requirement(min: number, max: number): [string, string] {
  const plural = (count: number): string => (count === 1 ? 'argument' : 'arguments')
  if (max === 0) return ['accepts no arguments', 'Run']
  if (min === max) return [`requires ${min} ${plural(min)}`, 'Run']
  if (max === Infinity) return [`requires at least ${min} ${plural(min)}`, 'See']
  if (min === 0) return [`requires at most ${max} ${plural(max)}`, 'Run']
  return [`requires at least ${min} and at most ${max} ${plural(max)}`, 'Run']
}
