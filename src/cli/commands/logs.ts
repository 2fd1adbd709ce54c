import { pipeline } from 'node:stream/promises'
import { demultiplex } from '../../client/connect.ts'
import { command, exactly } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { parseTimestamp } from '../text/time.ts'

export const logs = command({
  name: 'logs',
  summary: 'Fetch the logs of a container',
  usage: '[OPTIONS] CONTAINER',
  arity: exactly(1),
  flags: {
    details: bool('Show extra details provided to logs'),
    follow: bool('Follow log output', { short: 'f' }),
    since: string(
      'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    ),
    tail: string('Number of lines to show from the end of the logs', { short: 'n', initial: 'all' }),
    timestamps: bool('Show timestamps', { short: 't' }),
    until: string(
      'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    ),
  },
  examples: [{ command: 'dewar logs -f --tail 100 web', about: 'The last hundred lines, and what follows' }],
  run: async (flags, [name = ''], cli) => {
    const client = await cli.client()
    const { Id, Config } = await client.containers.inspect(name)
    const time = (word: string, what: string): string => {
      try {
        return parseTimestamp(word)
      } catch (error) {
        throw new Failure(`invalid value for "${what}": ${error instanceof Error ? error.message : ''}`)
      }
    }
    const body = await client.containers.logs(Id, {
      stdout: true,
      stderr: true,
      follow: flags.follow,
      timestamps: flags.timestamps,
      details: flags.details,
      tail: flags.tail,
      ...(flags.since === '' ? {} : { since: time(flags.since, 'since') }),
      ...(flags.until === '' ? {} : { until: time(flags.until, 'until') }),
    })
    if (Config.Tty) await pipeline(body, cli.stdout, { end: false })
    else await demultiplex(body, cli.stdout, cli.stderr)
  },
})
