import type { ImageSummary } from '../../client/connect.ts'
import { atMost, command } from '../command-spec.ts'
import type { CommandSpec } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { bool, string } from '../flags.ts'
import { familiarRepository, parseImageName } from '../image-name.ts'
import { printList } from '../list.ts'
import type { ListView } from '../list.ts'
import { humanDuration } from '../text/duration.ts'
import { decimalSize } from '../text/size.ts'
import { goTime } from '../text/time.ts'
import { shortId } from './ps.ts'

export const images = listCommand('images')
export const imageList = listCommand('ls')

function listCommand(name: string): CommandSpec {
  return command({
    name,
    summary: 'List images',
    usage: '[OPTIONS] [REPOSITORY[:TAG]]',
    arity: atMost(1),
    flags: {
      all: bool('Show all images (default hides intermediate images)', { short: 'a' }),
      digests: bool('Show digests'),
      filter: filterFlag(),
      format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
      'no-trunc': bool("Don't truncate output"),
      quiet: bool('Only show image IDs', { short: 'q' }),
    },
    examples: [
      { command: 'dewar images --filter dangling=true -q', about: 'Images that nothing names any more' },
    ],
    run: async (flags, [reference = ''], cli) => {
      const format =
        flags.format === '' && !flags.quiet
          ? setting(await readConfig(cli.configFolder), 'imagesFormat')
          : flags.format
      const filters = toFilters(flags.filter, reference === '' ? {} : { reference: [reference] })
      const client = await cli.client()
      const found = await client.images.list({ all: flags.all, filters })
      const rows = found.flatMap((image) =>
        rowsOf(image, flags.digests || format.includes('{{.Digest}}'), flags.digests),
      )
      printList(rows, imageView(!flags['no-trunc'], flags.digests), { format, quiet: flags.quiet }, cli)
    },
  })
}

export interface ImageRow {
  readonly image: ImageSummary
  readonly repository: string
  readonly tag: string
  readonly digest: string
}

const NONE = '<none>'

/** One row per tag; digests only where they are asked for; images without a name one row of <none>. */
export function rowsOf(image: ImageSummary, needDigest: boolean, rowPerDigest: boolean): ImageRow[] {
  const dangling =
    image.RepoTags.every((tag) => tag === '<none>:<none>') &&
    image.RepoDigests.every((digest) => digest === '<none>@<none>')
  if (dangling) return [{ image, repository: NONE, tag: NONE, digest: NONE }]
  const tags = grouped(image.RepoTags, (name) => name.tag)
  const digests = grouped(image.RepoDigests, (name) => name.digest)
  const rows: ImageRow[] = []
  for (const [repository, names] of tags) {
    const known = needDigest ? (digests.get(repository) ?? []) : []
    digests.delete(repository)
    for (const tag of names) {
      rows.push(
        ...(known.length === 0 ? [NONE] : known).map((digest) => ({ image, repository, tag, digest })),
      )
    }
  }
  for (const [repository, values] of digests) {
    rows.push(...(rowPerDigest ? values : ['']).map((digest) => ({ image, repository, tag: NONE, digest })))
  }
  return rows
}

function grouped(
  references: readonly string[],
  part: (name: ReturnType<typeof parseImageName>) => string | undefined,
): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const reference of references) {
    try {
      const name = parseImageName(reference)
      const value = part(name)
      if (value !== undefined)
        groups.set(familiarRepository(name), [...(groups.get(familiarRepository(name)) ?? []), value])
    } catch {
      // Docker leaves out what it cannot read, too.
    }
  }
  return groups
}

export function imageView(truncate: boolean, digests: boolean): ListView<ImageRow> {
  return {
    typeName: '*formatter.imageContext',
    quiet: 'ID',
    table: ['Repository', 'Tag', ...(digests ? ['Digest'] : []), 'ID', 'CreatedSince', 'Size'],
    columns: {
      ID: { header: 'IMAGE ID', of: ({ image }) => (truncate ? shortId(image.Id) : image.Id) },
      Repository: { header: 'REPOSITORY', of: ({ repository }) => repository },
      Tag: { header: 'TAG', of: ({ tag }) => tag },
      Digest: { header: 'DIGEST', of: ({ digest }) => digest },
      CreatedSince: {
        header: 'CREATED',
        of: ({ image }) =>
          image.Created <= 0 ? 'N/A' : `${humanDuration(Date.now() - image.Created * 1000)} ago`,
      },
      CreatedAt: { header: 'CREATED AT', of: ({ image }) => goTime(image.Created) },
      Size: { header: 'SIZE', of: ({ image }) => decimalSize(image.Size, 3) },
      Containers: {
        header: 'CONTAINERS',
        of: ({ image }) => (image.Containers === -1 ? 'N/A' : String(image.Containers)),
      },
      VirtualSize: { header: 'SIZE', of: ({ image }) => decimalSize(image.Size) },
      SharedSize: {
        header: 'SHARED SIZE',
        of: ({ image }) => (image.SharedSize === -1 ? 'N/A' : decimalSize(image.SharedSize)),
      },
      UniqueSize: {
        header: 'UNIQUE SIZE',
        of: ({ image }) => (image.SharedSize === -1 ? 'N/A' : decimalSize(image.Size - image.SharedSize)),
      },
    },
  }
}
