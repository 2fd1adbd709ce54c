import type { DiskUsage } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { printList, renderList, shownView } from '../list.ts'
import type { ListView } from '../list.ts'
import { humanDuration } from '../text/duration.ts'
import { decimalSize } from '../text/size.ts'
import { imageView, rowsOf } from './images.ts'
import { containerView } from './ps.ts'
import { VOLUME_VIEW } from './volume.ts'

export const diskUsage = command({
  name: 'df',
  summary: 'Show engine disk usage',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
    verbose: bool('Show detailed information on space usage', { short: 'v' }),
  },
  examples: [{ command: 'dewar system df -v', about: 'Which image, container and volume takes how much' }],
  run: async (flags, _args, cli) => {
    if (flags.verbose && flags.format !== '') throw new Failure('the verbose and the format options conflict')
    const client = await cli.client()
    const usage = await client.system.diskUsage()
    if (flags.verbose) return printVerbose(usage, cli)
    printList(summaries(usage), SUMMARY_VIEW, { format: flags.format, quiet: false }, cli)
    return 0
  },
})

interface Summary {
  readonly type: string
  readonly count: number
  readonly active: number
  readonly size: number
  readonly reclaimable: string
}

const SUMMARY_VIEW: ListView<Summary> = {
  typeName: '*formatter.diskUsageImagesContext',
  quiet: 'Type',
  table: ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'],
  columns: {
    Type: { header: 'TYPE', of: ({ type }) => type },
    TotalCount: { header: 'TOTAL', of: ({ count }) => String(count) },
    Active: { header: 'ACTIVE', of: ({ active }) => String(active) },
    Size: { header: 'SIZE', of: ({ size }) => decimalSize(size) },
    Reclaimable: { header: 'RECLAIMABLE', of: ({ reclaimable }) => reclaimable },
  },
}

const ACTIVE = new Set(['running', 'paused', 'restarting'])
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function share(part: number, total: number): string {
  return total > 0 ? `${decimalSize(part)} (${Math.trunc((part * 100) / total)}%)` : decimalSize(part)
}

function summaries({ Images, Containers, Volumes, BuildCache, LayersSize }: DiskUsage): Summary[] {
  const usedImages = sum(
    Images.filter((image) => image.Containers !== 0 && image.Size !== -1 && image.SharedSize !== -1).map(
      (image) => image.Size - image.SharedSize,
    ),
  )
  const containers = sum(Containers.map(({ SizeRw }) => SizeRw))
  const stopped = sum(Containers.filter(({ State }) => !ACTIVE.has(State)).map(({ SizeRw }) => SizeRw))
  const known = Volumes.flatMap(({ UsageData }) =>
    UsageData === undefined || UsageData.Size === -1 ? [] : [UsageData],
  )
  const volumes = sum(known.map(({ Size }) => Size))
  const free = sum(known.filter(({ RefCount }) => RefCount === 0).map(({ Size }) => Size))
  const cache = sum(BuildCache.filter(({ Shared }) => !Shared).map(({ Size }) => Size))
  const cacheInUse = sum(BuildCache.filter(({ InUse, Shared }) => InUse && !Shared).map(({ Size }) => Size))
  return [
    {
      type: 'Images',
      count: Images.length,
      active: Images.filter((image) => image.Containers > 0).length,
      size: LayersSize,
      reclaimable: share(LayersSize - usedImages, LayersSize),
    },
    {
      type: 'Containers',
      count: Containers.length,
      active: Containers.filter(({ State }) => ACTIVE.has(State)).length,
      size: containers,
      reclaimable: share(stopped, containers),
    },
    {
      type: 'Local Volumes',
      count: Volumes.length,
      active: Volumes.filter(({ UsageData }) => (UsageData?.RefCount ?? 0) > 0).length,
      size: volumes,
      reclaimable: share(free, volumes),
    },
    {
      type: 'Build Cache',
      count: BuildCache.length,
      active: BuildCache.filter(({ InUse }) => InUse).length,
      size: cache,
      reclaimable: decimalSize(cache - cacheInUse),
    },
  ]
}

function printVerbose(usage: DiskUsage, cli: Cli): number {
  const table = { format: '', quiet: false }
  const render = <T>(items: readonly T[], view: ListView<T>): string =>
    renderList(items, shownView(view, cli.stdout), table)
  const images = usage.Images.flatMap((image) => rowsOf(image, false, false).slice(0, 1))
  const imageColumns = [
    'Repository',
    'Tag',
    'ID',
    'CreatedSince',
    'Size',
    'SharedSize',
    'UniqueSize',
    'Containers',
  ]
  const containers = usage.Containers.map((container) => ({ ...container, SizeRootFs: 0 }))
  const containerColumns = ['ID', 'Image', 'Command', 'LocalVolumes', 'Size', 'RunningFor', 'Status', 'Names']
  const size = summaries(usage)[3]?.size ?? 0
  cli.stdout.write(
    [
      `Images space usage:\n\n${render(images, { ...imageView(true, false), table: imageColumns })}`,
      `Containers space usage:\n\n${render(containers, { ...containerView(true, true), table: containerColumns })}`,
      `Local Volumes space usage:\n\n${render(usage.Volumes, { ...VOLUME_VIEW, table: ['Name', 'Links', 'Size'] })}`,
      `Build cache usage: ${decimalSize(size)}\n\n${render(usage.BuildCache, CACHE_VIEW)}`,
    ].join('\n'),
  )
  return 0
}

const ago = (iso: string): string => (iso === '' ? '' : `${humanDuration(Date.now() - Date.parse(iso))} ago`)

const CACHE_VIEW: ListView<DiskUsage['BuildCache'][number]> = {
  typeName: '*formatter.buildCacheContext',
  quiet: 'ID',
  table: ['ID', 'CacheType', 'Size', 'CreatedSince', 'LastUsedSince', 'UsageCount', 'Shared'],
  columns: {
    ID: { header: 'CACHE ID', of: ({ ID, InUse }) => `${ID.slice(0, 12)}${InUse ? '*' : ''}` },
    CacheType: { header: 'CACHE TYPE', of: ({ Type }) => Type },
    Size: { header: 'SIZE', of: ({ Size }) => decimalSize(Size, 3) },
    CreatedSince: { header: 'CREATED', of: ({ CreatedAt }) => ago(CreatedAt) },
    LastUsedSince: { header: 'LAST USED', of: ({ LastUsedAt }) => ago(LastUsedAt) },
    UsageCount: { header: 'USAGE', of: ({ UsageCount }) => String(UsageCount) },
    Shared: { header: 'SHARED', of: ({ Shared }) => String(Shared) },
  },
}
