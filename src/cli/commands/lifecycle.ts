/** Commands that do one thing to each container named. */
import { isNotFound } from '../../client/connect.ts'
import { atLeast, command, exactly } from '../command-spec.ts'
import { eachName, messageFor } from '../each.ts'
import { Failure } from '../failure.ts'
import { bool, integer, string } from '../flags.ts'

const STOP_FLAGS = {
  signal: string('Signal to send to the container', { short: 's' }),
  time: integer('Seconds to wait before killing the container (deprecated: use --timeout)', {
    hidden: true,
    aliasOf: 'timeout',
  }),
  timeout: integer('Seconds to wait before killing the container', { short: 't' }),
} as const
const MANY = 'CONTAINER [CONTAINER...]'

function stopOptions(flags: {
  readonly signal: string
  readonly timeout: number
  readonly given: ReadonlySet<string>
}): { signal?: string; timeout?: number } {
  return {
    ...(flags.signal === '' ? {} : { signal: flags.signal }),
    ...(flags.given.has('timeout') ? { timeout: flags.timeout } : {}),
  }
}

export const stop = command({
  name: 'stop',
  summary: 'Stop one or more running containers',
  usage: `[OPTIONS] ${MANY}`,
  arity: atLeast(1),
  flags: STOP_FLAGS,
  examples: [{ command: 'dewar stop -t 30 db', about: 'Give it half a minute before it is killed' }],
  run: async (flags, names, cli) => {
    const { containers } = await cli.client()
    return eachName(names, cli, (name) => containers.stop(name, stopOptions(flags)))
  },
})

export const restart = command({
  name: 'restart',
  summary: 'Restart one or more containers',
  usage: `[OPTIONS] ${MANY}`,
  arity: atLeast(1),
  flags: STOP_FLAGS,
  examples: [{ command: 'dewar restart web', about: 'Stop it and start it again' }],
  run: async (flags, names, cli) => {
    const { containers } = await cli.client()
    return eachName(names, cli, (name) => containers.restart(name, stopOptions(flags)))
  },
})

export const kill = command({
  name: 'kill',
  summary: 'Kill one or more running containers',
  usage: `[OPTIONS] ${MANY}`,
  arity: atLeast(1),
  flags: { signal: string('Signal to send to the container', { short: 's' }) },
  examples: [{ command: 'dewar kill -s HUP web', about: 'Have it read its settings again' }],
  run: async (flags, names, cli) => {
    const { containers } = await cli.client()
    return eachName(names, cli, (name) =>
      containers.kill(name, flags.signal === '' ? undefined : flags.signal),
    )
  },
})

export const rm = command({
  name: 'rm',
  summary: 'Remove one or more containers',
  usage: `[OPTIONS] ${MANY}`,
  arity: atLeast(1),
  flags: {
    force: bool('Force the removal of a running container (uses SIGKILL)', { short: 'f' }),
    link: bool('Remove the specified link', { short: 'l' }),
    volumes: bool('Remove anonymous volumes associated with the container', { short: 'v' }),
  },
  examples: [{ command: 'dewar rm -f $(dewar ps -aq)', about: 'Remove every container' }],
  run: async (flags, names, cli) => {
    const { containers } = await cli.client()
    return eachName(names, cli, async (given) => {
      const name = given.replace(/^\/+|\/+$/g, '')
      if (name === '') throw new Failure('container name cannot be empty')
      try {
        await containers.remove(name, { force: flags.force, volumes: flags.volumes, link: flags.link })
        return given
      } catch (error) {
        if (!flags.force || !isNotFound(error)) throw error
        cli.warn(messageFor(error))
        return ''
      }
    })
  },
})

export const pause = command({
  name: 'pause',
  summary: 'Pause all processes within one or more containers',
  usage: MANY,
  arity: atLeast(1),
  flags: {},
  examples: [{ command: 'dewar pause web', about: 'Freeze it; `dewar unpause web` lets it go on' }],
  run: async (_flags, names, cli) => {
    const { containers } = await cli.client()
    return eachName(names, cli, (name) => containers.pause(name))
  },
})

export const unpause = command({
  name: 'unpause',
  summary: 'Unpause all processes within one or more containers',
  usage: MANY,
  arity: atLeast(1),
  flags: {},
  examples: [{ command: 'dewar unpause web', about: 'Let a frozen container go on' }],
  run: async (_flags, names, cli) => {
    const { containers } = await cli.client()
    return eachName(names, cli, (name) => containers.unpause(name))
  },
})

export const wait = command({
  name: 'wait',
  summary: 'Block until one or more containers stop, then print their exit codes',
  usage: MANY,
  arity: atLeast(1),
  flags: {},
  examples: [{ command: 'dewar wait job', about: 'Prints its exit code when it ends' }],
  run: async (_flags, names, cli) => {
    const { containers } = await cli.client()
    const errors: string[] = []
    for (const name of names) {
      try {
        const waiting = await containers.wait(name)
        cli.say(String((await waiting.result).StatusCode))
      } catch (error) {
        errors.push(messageFor(error))
      }
    }
    if (errors.length > 0) throw new Failure(errors.join('\n'))
  },
})

export const rename = command({
  name: 'rename',
  summary: 'Rename a container',
  usage: 'CONTAINER NEW_NAME',
  arity: exactly(2),
  flags: {},
  examples: [{ command: 'dewar rename web shop', about: 'The container web is called shop from now on' }],
  run: async (_flags, [from = '', to = ''], cli) => {
    if (from.trim() === '' || to.trim() === '')
      throw new Failure('Error: Neither old nor new names may be empty')
    const { containers } = await cli.client()
    await containers.rename(from.trim(), to.trim()).catch((error: unknown) => {
      throw new Failure(`${messageFor(error)}\nError: failed to rename container named ${from.trim()}`)
    })
  },
})
