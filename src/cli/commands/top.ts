import { atLeast, command } from '../command-spec.ts'
import { shown } from '../shown.ts'
import { tabulate } from '../text/tabwriter.ts'

export const top = command({
  name: 'top',
  summary: 'Display the running processes of a container',
  usage: 'CONTAINER [ps OPTIONS]',
  arity: atLeast(1),
  stopsAtWord: true,
  flags: {},
  examples: [{ command: 'dewar top web -o pid,comm', about: 'Choose the columns as with ps' }],
  run: async (_flags, [name = '', ...options], cli) => {
    const client = await cli.client()
    const list = await client.containers.top(name, options.length === 0 ? undefined : options.join(' '))
    const lines = [list.Titles, ...list.Processes].map((cells) =>
      cells.map((cell) => shown(cell, cli.stdout)).join('\t'),
    )
    cli.stdout.write(tabulate(`${lines.join('\n')}\n`, { minWidth: 20 }))
  },
})
