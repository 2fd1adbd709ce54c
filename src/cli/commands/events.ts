import type { EngineEvent } from '../../client/connect.ts'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { filterFlag, toFilters } from '../filters.ts'
import { string } from '../flags.ts'
import { shown } from '../shown.ts'
import { compileTemplate, TemplateError } from '../template/template.ts'
import type { Template } from '../template/template.ts'
import { layOutJson } from '../text/json.ts'
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
    const template = flags.format === 'json' ? undefined : templateOf(flags.format)
    const client = await cli.client()
    const stream = client.system.events({
      ...(flags.since === '' ? {} : { since: parseTimestamp(flags.since) }),
      ...(flags.until === '' ? {} : { until: parseTimestamp(flags.until) }),
      filters: toFilters(flags.filter),
    })
    for await (const event of stream) {
      if (flags.format === 'json') cli.say(layOutJson(event.line, ''))
      else cli.say(template === undefined ? shown(pretty(event), cli.stdout) : template.render(event.raw))
    }
  },
})

function templateOf(format: string): Template | undefined {
  if (format === '') return undefined
  try {
    return compileTemplate(unescapeFormat(format), { missing: 'zero' })
  } catch (error) {
    if (error instanceof TemplateError) throw new Failure(`Error parsing format: ${error.message}`, 64)
    throw error
  }
}

function pretty(event: EngineEvent & { readonly line: string }): string {
  const attributes = Object.keys(event.Actor.Attributes)
    .sort()
    .map((key) => `${key}=${event.Actor.Attributes[key]}`)
  const time = localRfc3339Nano(event.time, nanosecondsOf(event.line))
  return `${time} ${event.Type} ${event.Action} ${event.Actor.ID}${attributes.length === 0 ? '' : ` (${attributes.join(', ')})`}`
}

/** Out of the text: JSON.parse would lose the last hundred nanoseconds. */
function nanosecondsOf(line: string): number {
  return Number((/"timeNano":\s*(\d+)/.exec(line)?.[1] ?? '').slice(-9))
}
