import { command, exactly } from '../command-spec.ts'
import { string } from '../flags.ts'
import { printList } from '../list.ts'

const KINDS = ['C', 'A', 'D']

export const diff = command({
  name: 'diff',
  summary: "Inspect changes to files or directories on a container's filesystem",
  usage: 'CONTAINER',
  arity: exactly(1),
  flags: { format: string('Format output', { hidden: true, initial: '{{.Type}} {{.Path}}' }) },
  examples: [{ command: 'dewar diff web', about: 'C changed, A added, D deleted since the image' }],
  run: async (flags, [name = ''], cli) => {
    const client = await cli.client()
    const changes = await client.containers.changes(name)
    printList(
      changes,
      {
        typeName: '*container.diffContext',
        quiet: 'Path',
        table: ['Type', 'Path'],
        columns: {
          Type: { header: 'CHANGE TYPE', of: ({ Kind }) => KINDS[Kind] ?? '' },
          Path: { header: 'PATH', of: ({ Path }) => Path },
        },
      },
      { format: flags.format, quiet: false },
      cli,
    )
  },
})
