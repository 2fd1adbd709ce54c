import { command, exactly } from '../command-spec.ts'
import type { CommandSpec } from '../command-spec.ts'
import { completionScript } from '../completion-script.ts'
import type { Described } from '../completion-script.ts'
import { Failure } from '../failure.ts'

export const completion: CommandSpec = command({
  name: 'completion',
  summary: 'Print the completion script for a shell (bash, zsh, fish)',
  usage: 'bash|zsh|fish',
  arity: exactly(1),
  flags: {},
  examples: [
    { command: 'source <(dewar completion bash)', about: 'In this shell; put it in ~/.bashrc for all' },
    { command: 'dewar completion fish > ~/.config/fish/completions/dewar.fish', about: 'For fish' },
  ],
  run: async (_flags, [shell = ''], cli) => {
    if (shell !== 'bash' && shell !== 'zsh' && shell !== 'fish') {
      throw new Failure(
        `printing a completion failed: the shell "${shell}" is not known (use bash, zsh or fish)`,
      )
    }
    cli.stdout.write(completionScript(shell, await describeAll()))
  },
})

/** Every command with its flags, out of the same tables that parse them. */
async function describeAll(): Promise<Described[]> {
  const { COMMANDS, GROUPS } = await import('../registry.ts')
  const describe = async (path: string, load: () => Promise<CommandSpec>): Promise<Described> => {
    const { summary, usage, flags } = await load()
    const shown = Object.entries(flags).filter(([, flag]) => flag.hidden !== true)
    return {
      path,
      summary,
      takes: takenBy(usage),
      flags: shown.map(([name, flag]) => ({
        name,
        short: flag.short,
        summary: flag.summary,
        hasValue: flag.value !== undefined,
      })),
    }
  }
  const groups = Object.entries(GROUPS).flatMap(([group, { commands }]) =>
    Object.entries(commands).map(([name, load]) => describe(`${group} ${name}`, load)),
  )
  return Promise.all([...Object.entries(COMMANDS).map(([name, load]) => describe(name, load)), ...groups])
}

function takenBy(usage: string): Described['takes'] {
  if (/\bIMAGE\b|\bNAME\[:TAG|SOURCE_IMAGE/.test(usage)) return 'images'
  if (/\bNETWORK\b/.test(usage) && !usage.startsWith('[OPTIONS] NETWORK CONTAINER')) return 'networks'
  if (/\bVOLUME\b/.test(usage)) return 'volumes'
  return /\bCONTAINER\b|NAME\|ID/.test(usage) ? 'containers' : 'nothing'
}
