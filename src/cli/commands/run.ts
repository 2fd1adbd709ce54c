import { ClientError } from '../../client/connect.ts'
import type { Client, WaitResult } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { createBody } from '../create/create-body.ts'
import type { CreateBody } from '../create/create-body.ts'
import { createContainer } from '../create/create-container.ts'
import { CREATE_FLAGS } from '../create/flags.ts'
import type { CreateFlags } from '../create/flags.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { engineMessage } from '../run-argv.ts'
import { forwardSignals } from '../signals.ts'
import { streamContainer } from '../streaming.ts'
import { checkTty, followSize } from '../terminal.ts'

const RUN_FLAGS = {
  ...CREATE_FLAGS,
  detach: bool('Run container in background and print container ID', { short: 'd' }),
  'detach-keys': string('Override the key sequence for detaching a container'),
  'sig-proxy': bool('Proxy received signals to the process', { initial: true }),
} as const

export const run = command({
  name: 'run',
  summary: 'Create and run a new container from an image',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  arity: atLeast(1),
  stopsAtWord: true,
  flags: RUN_FLAGS,
  examples: [
    { command: 'dewar run --rm busybox echo hello', about: 'One command, nothing left behind' },
    { command: 'dewar run -it --rm debian bash', about: 'A shell' },
    { command: 'dewar run -d --name web -p 8080:80 nginx', about: 'A web server on port 8080' },
    {
      command: 'dewar run --rm -m 256m --cpus 0.5 --read-only --network none python -c "print(1)"',
      about: 'Code you do not trust',
    },
  ],
  run: async (flags, [image = '', ...args], cli) => {
    const body = asked('run', flags, image, args)
    if (!flags.detach) checkTty(cli, body.AttachStdin, body.Tty)
    else if (flags.attach.length > 0)
      throw new Failure('conflicting options: cannot specify both --attach and --detach')
    const client = await cli.client().catch((error: unknown) => {
      throw asFailure('run', error)
    })
    const detached = { AttachStdin: false, AttachStdout: false, AttachStderr: false, StdinOnce: false }
    const final = flags.detach ? { ...body, ...detached } : body
    const id = await created(client, flags, final, cli).catch((error: unknown) => {
      throw asFailure('run', error)
    })
    using _signals = flags['sig-proxy']
      ? forwardSignals((signal) => client.containers.kill(id, signal), cli.warn)
      : null
    return final.AttachStdin || final.AttachStdout || final.AttachStderr
      ? await runAttached(client, { id, body: final, detachKeys: flags['detach-keys'] }, cli)
      : await runDetached(client, id, cli)
  },
})

export const create = command({
  name: 'create',
  summary: 'Create a new container',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  arity: atLeast(1),
  stopsAtWord: true,
  flags: CREATE_FLAGS,
  examples: [
    {
      command: 'dewar create --name job busybox sh -c "sleep 5"',
      about: 'Start it later with `dewar start job`',
    },
  ],
  run: async (flags, [image = '', ...args], cli) => {
    const body = asked('create', flags, image, args)
    cli.say(await created(await cli.client(), flags, body, cli))
  },
})

/** The request that the flags mean; a bad flag ends with docker's code 125. */
function asked(name: string, flags: CreateFlags, image: string, args: readonly string[]): CreateBody {
  if (!['always', 'missing', 'never', ''].includes(flags.pull)) {
    throw withHelp(
      name,
      `invalid pull option: '${flags.pull}': must be one of "always", "missing" or "never"`,
      125,
    )
  }
  try {
    return createBody(flags, image, args, { cwd: process.cwd(), env: process.env })
  } catch (error) {
    throw withHelp(name, error instanceof Error ? error.message : String(error), 125)
  }
}

function created(client: Client, flags: CreateFlags, body: CreateBody, cli: Cli): Promise<string> {
  const { name, platform, pull, quiet } = flags
  return createContainer(client, { body, name, platform, pull, quiet }, cli)
}

async function runDetached(client: Client, id: string, cli: Cli): Promise<number> {
  cli.say(id)
  await start(client, id)
  return 0
}

interface Attached {
  readonly id: string
  readonly body: CreateBody
  readonly detachKeys: string
}

async function runAttached(
  client: Client,
  { id, body, detachKeys: given }: Attached,
  cli: Cli,
): Promise<number> {
  const detachKeys = given === '' ? setting(await readConfig(cli.configFolder), 'detachKeys') : given
  const connection = await client.containers.attach(id, {
    stdin: body.AttachStdin,
    stdout: body.AttachStdout,
    stderr: body.AttachStderr,
    ...(detachKeys === '' ? {} : { detachKeys }),
  })
  // 1. Attach, 2. wait, 3. start: a container that ends at once is not missed, neither its output nor its code.
  const waiting = await client.containers.wait(id, {
    condition: body.HostConfig.AutoRemove ? 'removed' : 'next-exit',
  })
  const stop = new AbortController()
  const streaming = streamContainer({
    connection,
    tty: body.Tty,
    stdin: body.AttachStdin ? cli.stdin : null,
    stdout: body.AttachStdout ? cli.stdout : null,
    stderr: body.AttachStderr ? (body.Tty ? cli.stdout : cli.stderr) : null,
    detachKeys,
    signal: stop.signal,
  })
  try {
    await start(client, id)
  } catch (error) {
    stop.abort()
    await streaming.catch(() => undefined)
    if (body.HostConfig.AutoRemove) await waiting.result.catch(() => undefined)
    throw error
  }
  using _size =
    body.Tty && cli.stdout.isTTY ? followSize(cli, (size) => client.containers.resize(id, size)) : null
  if (!body.AttachStdout && !body.AttachStderr)
    void waiting.result.then(() => stop.abort()).catch(() => undefined)
  if ((await streaming) === 'detached') return 0
  return exitCodeOf(await waiting.result, cli)
}

export function exitCodeOf(result: WaitResult, cli: Cli): number {
  if (result.Error === undefined) return result.StatusCode
  cli.warn(`Error waiting for container: ${result.Error.Message}`)
  return 125
}

async function start(client: Client, id: string): Promise<void> {
  await client.containers.start(id).catch((error: unknown) => {
    throw asFailure('run', error)
  })
}

/** Docker's exit codes: 127 when the command is not there, 126 when it cannot be run, 125 for the rest. */
export function asFailure(name: string, error: unknown): Failure {
  if (error instanceof Failure)
    return new Failure(error.message, error.exitCode === 1 ? 125 : error.exitCode, error)
  const text =
    error instanceof ClientError
      ? engineMessage(error)
      : error instanceof Error
        ? error.message
        : String(error)
  return withHelp(name, text, startExitCode(text), error)
}

export function startExitCode(text: string): number {
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(text))
    return 127
  if (/permission denied|is a directory/.test(text)) return 126
  return 125
}

function withHelp(name: string, text: string, exitCode: number, cause?: unknown): Failure {
  return new Failure(`dewar: ${text}\n\nRun 'dewar ${name} --help' for more information`, exitCode, cause)
}
