import type { Client, Filters, Pruned } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { command, none } from '../command-spec.ts'
import { confirm } from '../confirm.ts'
import { Failure } from '../failure.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { bool } from '../flags.ts'
import { decimalSize } from '../text/size.ts'

const FORCE = bool('Do not prompt for confirmation', { short: 'f' })
const FILTER = filterFlag('Provide filter values (e.g. "until=<timestamp>")', null)

export const pruneContainers = command({
  name: 'prune',
  summary: 'Remove all stopped containers',
  usage: '[OPTIONS]',
  arity: none,
  flags: { filter: FILTER, force: FORCE },
  examples: [
    {
      command: 'dewar container prune --filter until=24h',
      about: 'Those that were created a day ago or before',
    },
  ],
  run: async (flags, _args, cli) => {
    await ask(
      flags.force,
      'WARNING! This will remove all stopped containers.\nAre you sure you want to continue?',
      'container',
      cli,
    )
    const client = await cli.client()
    const { text, bytes } = await prunedContainers(client, toFilters(flags.filter))
    say(text, cli)
    cli.say(`Total reclaimed space: ${decimalSize(bytes)}`)
  },
})

export const pruneImages = command({
  name: 'prune',
  summary: 'Remove unused images',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    all: bool('Remove all unused images, not just dangling ones', { short: 'a' }),
    filter: FILTER,
    force: FORCE,
  },
  examples: [{ command: 'dewar image prune -a', about: 'All that no container uses' }],
  run: async (flags, _args, cli) => {
    const warning = flags.all
      ? 'WARNING! This will remove all images without at least one container associated to them.'
      : 'WARNING! This will remove all dangling images.'
    await ask(flags.force, `${warning}\nAre you sure you want to continue?`, 'image', cli)
    const client = await cli.client()
    const { text, bytes } = await prunedImages(client, flags.all, toFilters(flags.filter))
    say(text, cli)
    cli.say(`Total reclaimed space: ${decimalSize(bytes)}`)
  },
})

export const pruneNetworks = command({
  name: 'prune',
  summary: 'Remove all unused networks',
  usage: '[OPTIONS]',
  arity: none,
  flags: { filter: FILTER, force: FORCE },
  examples: [{ command: 'dewar network prune -f', about: 'Without a question' }],
  run: async (flags, _args, cli) => {
    await ask(
      flags.force,
      'WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?',
      'network',
      cli,
    )
    const client = await cli.client()
    say((await prunedNetworks(client, toFilters(flags.filter))).text, cli)
  },
})

export const pruneVolumes = command({
  name: 'prune',
  summary: 'Remove unused local volumes',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    all: bool('Remove all unused volumes, not just anonymous ones', { short: 'a' }),
    filter: filterFlag('Provide filter values (e.g. "label=<label>")', null),
    force: FORCE,
  },
  examples: [{ command: 'dewar volume prune -a', about: 'Named ones too' }],
  run: async (flags, _args, cli) => {
    const kind = flags.all ? 'all' : 'anonymous'
    await ask(
      flags.force,
      `WARNING! This will remove ${kind} local volumes not used by at least one container.\nAre you sure you want to continue?`,
      'volume',
      cli,
    )
    const client = await cli.client()
    const { text, bytes } = await prunedVolumes(
      client,
      toFilters(flags.filter, flags.all ? { all: ['true'] } : {}),
    )
    say(text, cli)
    cli.say(`Total reclaimed space: ${decimalSize(bytes)}`)
  },
})

export const pruneSystem = command({
  name: 'prune',
  summary: 'Remove unused data',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    all: bool('Remove all unused images not just dangling ones', { short: 'a' }),
    filter: filterFlag('Provide filter values (e.g. "label=<key>=<value>")', null),
    force: FORCE,
    volumes: bool('Prune anonymous volumes'),
  },
  examples: [{ command: 'dewar system prune -a --volumes', about: 'All that nothing uses' }],
  run: async (flags, _args, cli) => {
    const filters = toFilters(flags.filter)
    if (flags.volumes && filters['until'] !== undefined)
      throw new Failure('ERROR: The "until" filter is not supported with "--volumes"')
    await ask(flags.force, systemWarning(flags.all, flags.volumes, flags.filter), 'system', cli)
    const client = await cli.client()
    const steps: (() => Promise<Outcome>)[] = [
      () => prunedContainers(client, filters),
      () => prunedNetworks(client, filters),
      ...(flags.volumes ? [() => prunedVolumes(client, filters)] : []),
      () => prunedImages(client, flags.all, filters),
      () => prunedBuildCache(client, flags.all, filters),
    ]
    let total = 0
    for (const step of steps) {
      const { text, bytes } = await step()
      say(text, cli)
      total += bytes
    }
    cli.say(`Total reclaimed space: ${decimalSize(total)}`)
  },
})

interface Outcome {
  readonly text: string
  readonly bytes: number
}

function outcome(title: string, lines: readonly string[], pruned: Pruned): Outcome {
  return lines.length === 0
    ? { text: '', bytes: 0 }
    : { text: `${title}:\n${lines.map((line) => `${line}\n`).join('')}`, bytes: pruned.SpaceReclaimed }
}

async function prunedContainers(client: Client, filters: Filters): Promise<Outcome> {
  const pruned = await client.containers.prune(filters)
  return outcome('Deleted Containers', pruned.ContainersDeleted, pruned)
}

async function prunedImages(client: Client, all: boolean, filters: Filters): Promise<Outcome> {
  const pruned = await client.images.prune({ ...filters, dangling: [all ? 'false' : 'true'] })
  const lines = pruned.ImagesDeleted.map(({ Untagged, Deleted }) =>
    Untagged === '' ? `deleted: ${Deleted}` : `untagged: ${Untagged}`,
  )
  return outcome('Deleted Images', lines, pruned)
}

async function prunedNetworks(client: Client, filters: Filters): Promise<Outcome> {
  const pruned = await client.networks.prune(filters)
  return outcome('Deleted Networks', pruned.NetworksDeleted, pruned)
}

async function prunedVolumes(client: Client, filters: Filters): Promise<Outcome> {
  const pruned = await client.volumes.prune(filters)
  return outcome('Deleted Volumes', pruned.VolumesDeleted, pruned)
}

async function prunedBuildCache(client: Client, all: boolean, filters: Filters): Promise<Outcome> {
  const pruned = await client.system.pruneBuildCache({ all, filters })
  return outcome('Deleted build cache objects', pruned.CachesDeleted, pruned)
}

async function ask(force: boolean, question: string, what: string, cli: Cli): Promise<void> {
  if (!force && !(await confirm(question, cli))) throw new Failure(`${what} prune has been cancelled`)
}

function say(text: string, cli: Cli): void {
  if (text !== '') cli.say(text)
}

function systemWarning(all: boolean, volumes: boolean, filters: readonly string[]): string {
  const items = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes ? ['all anonymous volumes not used by at least one container'] : []),
    all ? 'all images without at least one container associated to them' : 'all dangling images',
    all ? 'all build cache' : 'unused build cache',
  ]
  const filtered =
    filters.length === 0
      ? ''
      : `\n  Items to be pruned will be filtered with:${[...filters]
          .sort()
          .map((filter) => `\n  - ${filter}`)
          .join('')}\n`
  return `WARNING! This will remove:${items.map((item) => `\n  - ${item}`).join('')}\n${filtered}\nAre you sure you want to continue?`
}
