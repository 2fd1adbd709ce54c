import type { ContainerSummary } from '../../client/connect.ts'
import { command, none } from '../command-spec.ts'
import type { CommandSpec } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { bool, integer, string } from '../flags.ts'
import { familiarName, parseImageName } from '../image-name.ts'
import { printList } from '../list.ts'
import type { ListView } from '../list.ts'
import { displayPorts } from '../text/ports.ts'
import { humanDuration } from '../text/duration.ts'
import { decimalSize } from '../text/size.ts'
import { goTime } from '../text/time.ts'
import { ellipsis } from '../text/tabwriter.ts'

export const ps = listCommand('ps', 'dewar ps')
export const containerList = listCommand('ls', 'dewar container ls')

function listCommand(name: string, typed: string): CommandSpec {
  return command({
    name,
    summary: 'List containers',
    usage: '[OPTIONS]',
    arity: none,
    flags: {
      all: bool('Show all containers (default shows just running)', { short: 'a' }),
      filter: filterFlag(),
      format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
      last: integer('Show n last created containers (includes all states)', { short: 'n', initial: -1 }),
      latest: bool('Show the latest created container (includes all states)', { short: 'l' }),
      'no-trunc': bool("Don't truncate output"),
      quiet: bool('Only display container IDs', { short: 'q' }),
      size: bool('Display total file sizes', { short: 's' }),
    },
    examples: [
      { command: `${typed} -a --filter status=exited`, about: 'Those that have ended' },
      { command: `${typed} --format 'table {{.Names}}\\t{{.Status}}'`, about: 'Only what you want to see' },
    ],
    run: async (flags, _args, cli) => {
      const format =
        flags.format === '' && !flags.quiet
          ? setting(await readConfig(cli.configFolder), 'psFormat')
          : flags.format
      // docker's own words and rule: ids alone, whatever the format.
      if (flags.quiet && flags.format !== '')
        cli.stderr.write('WARNING: Ignoring custom format, because both --format and --quiet are set.\n')
      const size = flags.size || /\.Size\b/.test(format) || (format === 'json' && flags.size)
      const limit = flags.latest && flags.last === -1 ? 1 : flags.last
      const client = await cli.client()
      const containers = await client.containers.list({
        all: flags.all || flags.last > 0 || flags.latest,
        size,
        filters: toFilters(flags.filter),
        ...(limit > 0 ? { limit } : {}),
      })
      printList(
        containers,
        containerView(!flags['no-trunc'], size),
        { format: flags.quiet ? '' : format, quiet: flags.quiet },
        cli,
      )
    },
  })
}

/** How `ps` shows a container; `df -v` uses it too. */
export function containerView(truncate: boolean, size: boolean): ListView<ContainerSummary> {
  const short = (text: string, width: number): string => (truncate ? ellipsis(text, width) : text)
  return {
    typeName: '*formatter.ContainerContext',
    quiet: 'ID',
    problems: { parse: 'failed to parse template', execute: 'failed to execute template' },
    table: ['ID', 'Image', 'Command', 'RunningFor', 'Status', 'Ports', 'Names', ...(size ? ['Size'] : [])],
    methods: { Label: (item, name) => item.Labels[name] ?? '' },
    columns: {
      ID: { header: 'CONTAINER ID', of: (item) => (truncate ? shortId(item.Id) : item.Id) },
      Names: { header: 'NAMES', of: (item) => namesOf(item, truncate) },
      Image: { header: 'IMAGE', of: (item) => imageOf(item, truncate) },
      Command: { header: 'COMMAND', of: (item) => goQuote(short(item.Command, 20)) },
      CreatedAt: { header: 'CREATED AT', of: (item) => goTime(item.Created) },
      RunningFor: {
        header: 'CREATED',
        of: (item) => `${humanDuration(Date.now() - item.Created * 1000)} ago`,
      },
      Platform: { header: 'PLATFORM', of: () => null },
      Ports: { header: 'PORTS', of: (item) => displayPorts(item.Ports) },
      State: { header: 'STATE', of: (item) => item.State },
      Status: { header: 'STATUS', of: (item) => item.Status },
      Size: { header: 'SIZE', of: sizeOf },
      Labels: {
        header: 'LABELS',
        of: (item) =>
          Object.entries(item.Labels)
            .map(([key, value]) => `${key}=${value}`)
            .sort()
            .join(','),
      },
      Mounts: {
        header: 'MOUNTS',
        of: (item) =>
          item.Mounts.map((mount) => short(mount.Name === '' ? mount.Source : mount.Name, 15)).join(','),
      },
      LocalVolumes: {
        header: 'LOCAL VOLUMES',
        of: (item) => String(item.Mounts.filter(({ Driver }) => Driver === 'local').length),
      },
      Networks: { header: 'NETWORKS', of: (item) => Object.keys(item.NetworkSettings.Networks).join(',') },
    },
  }
}

export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}

function namesOf(item: ContainerSummary, truncate: boolean): string {
  const names = item.Names.map((name) => name.replace(/^\//, ''))
  const own = names.find((name) => !name.includes('/'))
  return truncate && own !== undefined ? own : names.join(',')
}

function imageOf(item: ContainerSummary, truncate: boolean): string {
  if (item.Image === '') return '<no image>'
  if (!truncate) return item.Image
  if (shortId(item.ImageID) === shortId(item.Image)) return shortId(item.Image)
  try {
    return familiarName({ ...parseImageName(item.Image), digest: undefined })
  } catch {
    return item.Image
  }
}

function sizeOf(item: ContainerSummary): string {
  const own = decimalSize(item.SizeRw, 3)
  return item.SizeRootFs > 0 ? `${own} (virtual ${decimalSize(item.SizeRootFs, 3)})` : own
}

/** Go's strconv.Quote. */
export function goQuote(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return `"${text.replace(/[\\"]/g, '\\$&').replace(/[\x00-\x1f\x7f]/g, (character) => QUOTED[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`
}

const QUOTED: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\v': '\\v',
}
