import { ClientError } from '../../client/connect.ts'
import type { Client } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { engineMessage } from '../run-argv.ts'
import { forwardSignals } from '../signals.ts'
import { streamContainer } from '../streaming.ts'
import { followSize } from '../terminal.ts'
import { exitCodeOf } from './run.ts'

export const start = command({
  name: 'start',
  summary: 'Start one or more stopped containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  arity: atLeast(1),
  flags: {
    attach: bool('Attach STDOUT/STDERR and forward signals', { short: 'a' }),
    'detach-keys': string('Override the key sequence for detaching a container'),
    interactive: bool("Attach container's STDIN", { short: 'i' }),
  },
  examples: [
    { command: 'dewar start web db', about: 'Start two containers again' },
    { command: 'dewar start -ai job', about: 'Start one and be attached to it' },
  ],
  run: async (flags, names, cli) => {
    const client = await cli.client()
    if (!flags.attach && !flags.interactive) return startAll(client, names, cli)
    if (names.length > 1) throw new Failure('you cannot start and attach multiple containers at once')
    return startAttached(
      client,
      { name: names[0] ?? '', stdin: flags.interactive, detachKeys: flags['detach-keys'] },
      cli,
    )
  },
})

async function startAll(client: Client, names: readonly string[], cli: Cli): Promise<number> {
  const failed: string[] = []
  for (const name of names) {
    try {
      await client.containers.start(name)
      cli.say(name)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      cli.warn(engineMessage(error))
      failed.push(name)
    }
  }
  if (failed.length > 0) throw new Failure(`Error: failed to start containers: ${failed.join(', ')}`)
  return 0
}

interface Attach {
  readonly name: string
  readonly stdin: boolean
  readonly detachKeys: string
}

async function startAttached(client: Client, request: Attach, cli: Cli): Promise<number> {
  const { Id: id, Config, HostConfig } = await client.containers.inspect(request.name)
  const tty = Config.Tty
  using _signals = tty ? null : forwardSignals((signal) => client.containers.kill(id, signal), cli.warn)
  const detachKeys =
    request.detachKeys === '' ? setting(await readConfig(cli.configFolder), 'detachKeys') : request.detachKeys
  const stdin = request.stdin && Config.OpenStdin
  const connection = await client.containers.attach(id, {
    stdin,
    stdout: true,
    stderr: true,
    ...(detachKeys === '' ? {} : { detachKeys }),
  })
  const waiting = await client.containers.wait(id, {
    condition: HostConfig.AutoRemove ? 'removed' : 'next-exit',
  })
  const stop = new AbortController()
  const streaming = streamContainer({
    connection,
    tty,
    stdin: stdin ? cli.stdin : null,
    stdout: cli.stdout,
    stderr: cli.stderr,
    detachKeys,
    signal: stop.signal,
  })
  try {
    await client.containers.start(id)
  } catch (error) {
    stop.abort()
    await streaming.catch(() => undefined)
    if (HostConfig.AutoRemove) await waiting.result.catch(() => undefined)
    throw error
  }
  using _size = tty && cli.stdout.isTTY ? followSize(cli, (size) => client.containers.resize(id, size)) : null
  if ((await streaming) === 'detached') return 0
  return exitCodeOf(await waiting.result, cli)
}
