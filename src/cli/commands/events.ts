import type { EngineEvent } from '../../client/connect.ts'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { string } from '../flags.ts'
import { compileTemplate, TemplateError } from '../template/template.ts'
import type { Template } from '../template/template.ts'
import { localRfc3339Nano, parseTimestamp } from '../text/time.ts'
import { unescapeFormat } from '../list.ts'

export const events = command({
  name: 'events',
  summary: 'Get real time events from the server',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    filter: filterFlag(),
    format: string("Format output using a custom template: 'json' or a Go template"),
    since: string('Show all events created since timestamp'),
    until: string('Stream events until this timestamp'),
  },
  examples: [
    { command: 'dewar events --since 10m --until 0s', about: 'What happened in the last ten minutes' },
    { command: 'dewar events --filter event=die --format json', about: 'Each end of a container, as JSON' },
  ],
  run: async (flags, _args, cli) => {
    const template = templateOf(flags.format)
    const client = await cli.client()
    const stream = client.system.events({
      ...(flags.since === '' ? {} : { since: parseTimestamp(flags.since) }),
      ...(flags.until === '' ? {} : { until: parseTimestamp(flags.until) }),
      filters: toFilters(flags.filter),
    })
    for await (const event of stream) cli.say(template === undefined ? line(event) : template.render(event.raw))
  },
})

function templateOf(format: string): Template | undefined {
  if (format === '') return undefined
  try {
    return compileTemplate(format === 'json' ? '{{json .}}' : unescapeFormat(format), { missing: 'zero' })
  } catch (error) {
    if (error instanceof TemplateError) throw new Failure(`Error parsing format: ${error.message}`, 64)
    throw error
  }
}

function line(event: EngineEvent & { readonly raw: unknown }): string {
  const attributes = Object.keys(event.Actor.Attributes).sort().map((key) => `${key}=${event.Actor.Attributes[key]}`)
  const time = localRfc3339Nano(event.time, nanosecondsOf(event.raw))
  return `${time} ${event.Type} ${event.Action} ${event.Actor.ID}${attributes.length === 0 ? '' : ` (${attributes.join(', ')})`}`
}

/** timeNano is beyond what a double holds exactly: the last hundred nanoseconds are lost in JSON.parse. */
function nanosecondsOf(raw: unknown): number {
  if (typeof raw !== 'object' || raw === null || !('timeNano' in raw) || typeof raw.timeNano !== 'number') return 0
  return Number(BigInt(raw.timeNano) % 1_000_000_000n)
}
