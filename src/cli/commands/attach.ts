import type { Client, ContainerInspect } from '../../client/connect.ts'
import { command, exactly } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { forwardSignals } from '../signals.ts'
import { streamContainer } from '../streaming.ts'
import { checkTty, followSize, terminalSize } from '../terminal.ts'

export const attach = command({
  name: 'attach',
  summary: 'Attach local standard input, output, and error streams to a running container',
  usage: '[OPTIONS] CONTAINER',
  arity: exactly(1),
  flags: {
    'detach-keys': string('Override the key sequence for detaching a container'),
    'no-stdin': bool('Do not attach STDIN'),
    'sig-proxy': bool('Proxy all received signals to the process', { initial: true }),
  },
  examples: [
    { command: 'dewar attach web', about: 'Detach again with ctrl-p ctrl-q where it has a terminal' },
  ],
  run: async (flags, [name = ''], cli) => {
    const client = await cli.client()
    const waiting = await client.containers.wait(name)
    const { Config } = await running(client, name)
    checkTty(cli, !flags['no-stdin'], Config.Tty)
    const detachKeys =
      flags['detach-keys'] === ''
        ? setting(await readConfig(cli.configFolder), 'detachKeys')
        : flags['detach-keys']
    const stdin = !flags['no-stdin'] && Config.OpenStdin
    using _signals =
      flags['sig-proxy'] && !Config.Tty
        ? forwardSignals((signal) => client.containers.kill(name, signal), cli.warn)
        : null
    const connection = await client.containers.attach(name, {
      stdin,
      stdout: true,
      stderr: true,
      ...(detachKeys === '' ? {} : { detachKeys }),
    })
    // It may have ended between the first look and the attach, which would then wait for ever.
    await running(client, name)
    const size = Config.Tty ? terminalSize(cli) : undefined
    if (size !== undefined) {
      // A shell repaints its prompt only when the size changes: change it once, followSize sets it right again.
      await client.containers
        .resize(name, { rows: size.rows + 1, columns: size.columns + 1 })
        .catch(() => undefined)
    }
    using _size = size === undefined ? null : followSize(cli, (now) => client.containers.resize(name, now))
    const end = await streamContainer({
      connection,
      tty: Config.Tty,
      stdin: stdin ? cli.stdin : null,
      stdout: cli.stdout,
      stderr: cli.stderr,
      detachKeys,
    })
    if (end === 'detached') throw new Failure('read escape sequence', 1)
    const result = await waiting.result
    if (result.Error !== undefined) throw new Failure(result.Error.Message)
    return result.StatusCode
  },
})

async function running(client: Client, name: string): Promise<ContainerInspect> {
  const container = await client.containers.inspect(name)
  const { Running, Paused, Restarting } = container.State
  if (!Running) throw new Failure('You cannot attach to a stopped container, start it first')
  if (Paused) throw new Failure('You cannot attach to a paused container, unpause it first')
  if (Restarting) throw new Failure('You cannot attach to a restarting container, wait until it is running')
  return container
}
