import type { HistoryLine } from '../../client/connect.ts'
import { command, exactly } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { printList } from '../list.ts'
import type { ListView } from '../list.ts'
import { platformQuery } from '../platform.ts'
import { humanDuration } from '../text/duration.ts'
import { decimalSize } from '../text/size.ts'
import { localRfc3339 } from '../text/time.ts'
import { ellipsis } from '../text/tabwriter.ts'
import { shortId } from './ps.ts'

export const history = command({
  name: 'history',
  summary: 'Show the history of an image',
  usage: '[OPTIONS] IMAGE',
  arity: exactly(1),
  flags: {
    format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
    human: bool('Print sizes and dates in human readable format', { short: 'H', initial: true }),
    'no-trunc': bool("Don't truncate output"),
    platform: string('Show history for the given platform (os[/arch[/variant]])'),
    quiet: bool('Only show image IDs', { short: 'q' }),
  },
  examples: [{ command: 'dewar history --no-trunc nginx', about: 'What each layer was made by' }],
  run: async (flags, [image = ''], cli) => {
    const platform = askedPlatform(flags.platform)
    const client = await cli.client()
    const lines = await client.images.history(image, { platform })
    printList(
      lines,
      historyView(!flags['no-trunc'], flags.human),
      { format: flags.format, quiet: flags.quiet },
      cli,
    )
  },
})

function askedPlatform(text: string): string | undefined {
  try {
    return platformQuery(text)
  } catch (error) {
    throw error instanceof Failure ? new Failure(`invalid platform: ${error.message}`) : error
  }
}

function historyView(truncate: boolean, human: boolean): ListView<HistoryLine> {
  const created = ({ Created }: HistoryLine): string => {
    if (Created <= 0) return 'N/A'
    return human ? `${humanDuration(Date.now() - Created * 1000)} ago` : localRfc3339(Created)
  }
  return {
    typeName: '*image.historyContext',
    quiet: 'ID',
    table: ['ID', human ? 'CreatedSince' : 'CreatedAt', 'CreatedBy', 'Size', 'Comment'],
    columns: {
      ID: { header: 'IMAGE', of: ({ Id }) => (truncate ? shortId(Id) : Id) },
      CreatedAt: { header: 'CREATED AT', of: ({ Created }) => localRfc3339(Created) },
      CreatedSince: { header: 'CREATED', of: created },
      CreatedBy: {
        header: 'CREATED BY',
        of: ({ CreatedBy }) =>
          truncate ? ellipsis(CreatedBy.replaceAll('\t', ' '), 45) : CreatedBy.replaceAll('\t', ' '),
      },
      Size: { header: 'SIZE', of: ({ Size }) => (human ? decimalSize(Size, 3) : String(Size)) },
      Comment: { header: 'COMMENT', of: ({ Comment }) => Comment },
    },
  }
}
