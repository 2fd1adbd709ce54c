import type { Client } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { environmentWord, readKeyValues } from '../create/environment.ts'
import { Failure } from '../failure.ts'
import { bool, string, strings } from '../flags.ts'
import { streamContainer } from '../streaming.ts'
import { checkTty, followSize, terminalSize } from '../terminal.ts'

export const exec = command({
  name: 'exec',
  summary: 'Execute a command in a running container',
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  arity: atLeast(2),
  stopsAtWord: true,
  flags: {
    detach: bool('Detached mode: run command in the background', { short: 'd' }),
    'detach-keys': string('Override the key sequence for detaching a container'),
    env: strings('Set environment variables', {
      short: 'e',
      check: (word) => environmentWord(word, process.env),
    }),
    'env-file': strings('Read in a file of environment variables'),
    interactive: bool('Keep STDIN open even if not attached', { short: 'i' }),
    privileged: bool('Give extended privileges to the command'),
    tty: bool('Allocate a pseudo-TTY', { short: 't' }),
    user: string('Username or UID (format: "<name|uid>[:<group|gid>]")', { short: 'u' }),
    workdir: string('Working directory inside the container', { short: 'w' }),
  },
  examples: [
    { command: 'dewar exec -it web sh', about: 'A shell in a running container' },
    { command: 'dewar exec -u root -e DEBUG=1 web env', about: 'Another user, another variable' },
  ],
  run: async (flags, [container = '', ...cmd], cli) => {
    const env = readKeyValues(flags['env-file'], flags.env, cli.env)
    const client = await cli.client()
    const attach = !flags.detach
    // Asked first so that "no such container" comes before a complaint about the terminal, and no exec is left behind.
    await client.containers.inspect(container)
    if (attach) checkTty(cli, flags.interactive, flags.tty)
    const size = flags.tty ? (terminalSize(cli) ?? { rows: 0, columns: 0 }) : undefined
    const detachKeys =
      flags['detach-keys'] === ''
        ? setting(await readConfig(cli.configFolder), 'detachKeys')
        : flags['detach-keys']
    const console: { ConsoleSize?: [number, number] } =
      size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] }
    const id = await client.execs.create(container, {
      User: flags.user,
      Privileged: flags.privileged,
      Tty: flags.tty,
      ...console,
      AttachStdin: attach && flags.interactive,
      AttachStderr: attach,
      AttachStdout: attach,
      DetachKeys: detachKeys,
      Env: env.length === 0 ? null : env,
      WorkingDir: flags.workdir,
      Cmd: cmd,
    })
    const start = { Tty: flags.tty, ...console }
    if (!attach) {
      await client.execs.startDetached(id, start)
      return 0
    }
    return interact(client, { id, start, stdin: flags.interactive, detachKeys }, cli)
  },
})

interface Interaction {
  readonly id: string
  readonly start: { readonly Tty: boolean; readonly ConsoleSize?: readonly [number, number] }
  readonly stdin: boolean
  readonly detachKeys: string
}

async function interact(
  client: Client,
  { id, start, stdin, detachKeys }: Interaction,
  cli: Cli,
): Promise<number> {
  const connection = await client.execs.attach(id, start)
  using _size = start.Tty && cli.stdin.isTTY ? followSize(cli, (size) => client.execs.resize(id, size)) : null
  const end = await streamContainer({
    connection,
    tty: start.Tty,
    stdin: stdin ? cli.stdin : null,
    stdout: cli.stdout,
    stderr: start.Tty ? cli.stdout : cli.stderr,
    detachKeys,
  })
  if (end === 'detached') throw new Failure('read escape sequence', 1)
  return (await client.execs.inspect(id)).ExitCode
}
