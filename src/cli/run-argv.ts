import type { Command } from 'commander'
import { ClientError } from '../client/connect.ts'
import { configFolder, makeCli } from './cli.ts'
import type { Cli, World } from './cli.ts'
import { findEngine } from './engine-place.ts'
import { errnoText } from './errno-text.ts'
import { Failure } from './failure.ts'
import { bool, string, strings } from './flags.ts'
import { command, none } from './command-spec.ts'
import { FlagError, parseFlags } from './parse-flags.ts'
import { COMMANDS, GROUPS, resolveName } from './registry.ts'
import { shownLines } from './shown.ts'

/** Flags before the command's name. */
export const GLOBAL = command({
  name: 'dewar',
  summary: 'A container engine that contains, and proves it',
  usage: '[OPTIONS] COMMAND',
  arity: none,
  stopsAtWord: true,
  flags: {
    config: string('Location of client config files (default "~/.docker")'),
    debug: bool('Show the cause of unexpected failures', { short: 'D' }),
    host: strings('Engine to talk to (default unix:///run/dewar/dewar.sock)', { short: 'H', value: 'list' }),
    'log-level': string('Accepted for docker; has no effect but to be checked', { short: 'l', hidden: true }),
    context: string('Accepted for docker: only "default"', { short: 'c', hidden: true }),
    root: string('State folder of the engine, where this command has to start it'),
    run: string('Runtime folder of the engine; its socket is there'),
    version: bool('Print version information and quit', { short: 'v' }),
  },
  examples: [
    { command: 'dewar run -d -p 8080:80 nginx', about: 'A web server on port 8080' },
    { command: 'dewar exec -it web sh', about: 'A shell in a running container' },
    { command: 'dewar --run /tmp/e --root /tmp/r ps', about: 'A second engine beside the first' },
  ],
  run: async () => 0,
})

/** Runs one command line and gives its exit code. Prints; throws nothing. */
export async function runArgv(argv: readonly string[], world: World): Promise<number> {
  let debug = world.env['DEWAR_DEBUG'] === '1'
  try {
    const parsed = parseGlobal(argv)
    debug ||= parsed.values.get('debug') === true
    return await dispatch(parsed, world)
  } catch (error) {
    return report(error, world, debug)
  }
}

function parseGlobal(argv: readonly string[]): ReturnType<typeof parseFlags> {
  try {
    return parseFlags(argv, GLOBAL)
  } catch (error) {
    if (!(error instanceof FlagError)) throw error
    throw new Failure(
      `${error.message}\n\nUsage:  dewar [OPTIONS] COMMAND [ARG...]\n\nRun 'dewar --help' for more information`,
      125,
    )
  }
}

async function dispatch(parsed: ReturnType<typeof parseFlags>, world: World): Promise<number> {
  const [name, ...rest] = parsed.words
  if (parsed.values.get('version') === true) {
    const { packageVersion } = await import('./package-root.ts')
    world.stdout.write(`Dewar version ${packageVersion()}\n`)
    return 0
  }
  if (parsed.help || name === undefined || name === 'help') {
    const { showHelp } = await import('./show-help.ts')
    return showHelp(parsed.help ? [] : rest, world)
  }
  const cli = surroundings(parsed.values, world)
  try {
    const { buildProgram, Ended } = await import('./program.ts')
    const program = await buildProgram(await resolveName(name, rest), cli)
    try {
      await runProgram(program, [name, ...rest])
    } catch (error) {
      if (error instanceof Ended) return error.exitCode
      throw error
    }
    return 0
  } finally {
    await cli.dispose()
  }
}

async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  await program.parseAsync(argv, { from: 'user' })
}

const LOG_LEVELS = /^(trace|debug|info|warn(ing)?|error|fatal|panic)?$/i

function surroundings(
  values: ReadonlyMap<string, unknown>,
  world: World,
): Cli & { dispose: () => Promise<void> } {
  const word = (key: string): string => {
    const value = values.get(key)
    return typeof value === 'string' ? value : ''
  }
  if (!LOG_LEVELS.test(word('log-level')))
    throw new Failure(`Unable to parse logging level: ${word('log-level')}`, 1)
  const hosts = values.get('host')
  if (!['', 'default'].includes(word('context'))) {
    throw new Failure(
      `choosing the engine failed: there is no context "${word('context')}" (dewar has none; use -H or DEWAR_HOST)`,
    )
  }
  const place = findEngine(
    { hosts: Array.isArray(hosts) ? hosts.map(String) : [], root: word('root'), run: word('run') },
    world.env,
  )
  const { env, stdin, stdout, stderr } = world
  return makeCli(
    { env, stdin, stdout, stderr },
    {
      place,
      configFolder: configFolder(env, word('config')),
      connect: async (where) => (await import('./engine-start.ts')).connectOrStart(where),
    },
  )
}

function report(error: unknown, world: World, debug: boolean): number {
  if (error instanceof Failure) {
    if (error.message !== '') world.stderr.write(`${shownLines(error.message, world.stderr)}\n`)
    if (debug && error.cause !== undefined) world.stderr.write(`${stackOf(error.cause)}\n`)
    return error.exitCode
  }
  if (error instanceof ClientError) {
    world.stderr.write(`${shownLines(engineMessage(error), world.stderr)}\n`)
    return 1
  }
  const code = exitCodeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (code !== undefined) {
    // DewarError and commander's own: they already say what failed and what to do.
    if (message !== '') world.stderr.write(`${message}\n`)
    return code
  }
  if (error instanceof Error && 'syscall' in error) {
    // The system refused something on a path of the user's: no defect of ours.
    const path = 'path' in error ? ` ${String(error.path)}` : ''
    world.stderr.write(`${String(error.syscall)}${path}: ${errnoText(error)}\n`)
    return 1
  }
  world.stderr.write(`dewar: unexpected failure: ${message} (run it again with DEWAR_DEBUG=1 to see where)\n`)
  if (debug) world.stderr.write(`${stackOf(error)}\n`)
  return 125
}

/** Docker's words for what the engine says; scripts match on them. */
export function engineMessage(error: ClientError): string {
  return error.status > 0 ? `Error response from daemon: ${error.message}` : error.message
}

function exitCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('exitCode' in error)) return undefined
  return typeof error.exitCode === 'number' ? error.exitCode : undefined
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

export { COMMANDS, GROUPS }
