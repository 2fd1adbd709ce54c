import type { Volume } from '../../client/connect.ts'
import { atLeast, atMost, command, none } from '../command-spec.ts'
import { toMap } from '../create/environment.ts'
import { labelWord } from '../create/words.ts'
import { messageFor } from '../each.ts'
import { Failure } from '../failure.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { bool, string, strings } from '../flags.ts'
import { printList } from '../list.ts'
import type { ListView } from '../list.ts'
import { decimalSize } from '../text/size.ts'

export const listVolumes = command({
  name: 'ls',
  summary: 'List volumes',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    filter: filterFlag('Provide filter values (e.g. "dangling=true")'),
    format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
    quiet: bool('Only display volume names', { short: 'q' }),
  },
  examples: [{ command: 'dewar volume ls --filter dangling=true', about: 'Those that no container uses' }],
  run: async (flags, _args, cli) => {
    const client = await cli.client()
    const volumes = await client.volumes.list(toFilters(flags.filter))
    const sorted = [...volumes].sort((a, b) => a.Name.localeCompare(b.Name, 'en', { numeric: true }))
    printList(sorted, VOLUME_VIEW, { format: flags.format, quiet: flags.quiet }, cli)
  },
})

export const VOLUME_VIEW: ListView<Volume> = {
  typeName: '*formatter.volumeContext',
  quiet: 'Name',
  table: ['Driver', 'Name'],
  methods: { Label: (item, name) => item.Labels[name] ?? '' },
  columns: {
    Name: { header: 'VOLUME NAME', of: ({ Name }) => Name },
    Driver: { header: 'DRIVER', of: ({ Driver }) => Driver },
    Scope: { header: 'SCOPE', of: ({ Scope }) => Scope },
    Mountpoint: { header: 'MOUNTPOINT', of: ({ Mountpoint }) => Mountpoint },
    Labels: {
      header: 'LABELS',
      of: ({ Labels }) =>
        Object.entries(Labels)
          .map(([key, value]) => `${key}=${value}`)
          .sort()
          .join(','),
    },
    Links: {
      header: 'LINKS',
      of: ({ UsageData }) => (UsageData === undefined ? 'N/A' : String(UsageData.RefCount)),
    },
    Size: {
      header: 'SIZE',
      of: ({ UsageData }) => (UsageData === undefined ? 'N/A' : decimalSize(UsageData.Size)),
    },
    Group: { header: 'GROUP', of: () => 'N/A' },
    Availability: { header: 'AVAILABILITY', of: () => 'N/A' },
    Status: { header: 'STATUS', of: () => 'N/A' },
  },
}

export const createVolume = command({
  name: 'create',
  summary: 'Create a volume',
  usage: '[OPTIONS] [VOLUME]',
  arity: atMost(1),
  flags: {
    driver: string('Specify volume driver name', { short: 'd', initial: 'local' }),
    label: strings('Set metadata for a volume', { check: labelWord }),
    name: string('Specify volume name', { hidden: true }),
    opt: strings('Set driver specific options', { short: 'o', value: 'map' }),
  },
  examples: [
    { command: 'dewar volume create --label keep=yes data', about: 'Then: dewar run -v data:/var/lib/x …' },
  ],
  run: async (flags, [name = ''], cli) => {
    if (name !== '' && flags.name !== '')
      throw new Failure(
        'conflicting options: cannot specify a volume-name through both --name and as a positional arg',
      )
    const client = await cli.client()
    const volume = await client.volumes.create({
      Driver: flags.driver,
      DriverOpts: toMap(flags.opt),
      Labels: toMap(flags.label),
      ...(name + flags.name === '' ? {} : { Name: name + flags.name }),
    })
    cli.say(volume.Name)
  },
})

export const removeVolumes = command({
  name: 'rm',
  summary: 'Remove one or more volumes',
  usage: '[OPTIONS] VOLUME [VOLUME...]',
  arity: atLeast(1),
  flags: { force: bool('Force the removal of one or more volumes', { short: 'f' }) },
  examples: [{ command: 'dewar volume rm data', about: 'And all that is in it' }],
  run: async (flags, names, cli) => {
    const client = await cli.client()
    const errors: string[] = []
    for (const name of names) {
      try {
        await client.volumes.remove(name, { force: flags.force })
        cli.say(name)
      } catch (error) {
        errors.push(messageFor(error))
      }
    }
    if (errors.length > 0) throw new Failure(errors.join('\n'))
  },
})
