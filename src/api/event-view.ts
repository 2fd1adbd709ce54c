/** One line of the event stream. */
import { sortedMap } from './codec.ts'
import type { EngineEvent } from '../engine/types.ts'

/**
 * As text, because `timeNano` needs 61 bits and a JavaScript number has 53. Containers and images also carry
 * the fields of the API before 1.22, which clients still read.
 */
export function eventLine(event: EngineEvent): string {
  const known = LINES.get(event)
  if (known !== undefined) return known
  const line = lineOf(event)
  LINES.set(event, line)
  return line
}

/** An event is told to many listeners. */
const LINES = new WeakMap<EngineEvent, string>()

function lineOf(event: EngineEvent): string {
  const { type, action, actor } = event
  const head = JSON.stringify({
    ...legacyFields(event),
    Type: type,
    Action: action,
    Actor: { ID: actor.id, Attributes: sortedMap(actor.attributes) },
    scope: 'local',
    time: Math.floor(event.time / 1000),
  })
  return `${head.slice(0, -1)},"timeNano":${event.timeNano}}\n`
}

function legacyFields({ type, action, actor }: EngineEvent): object {
  if (type !== 'container' && type !== 'image') return {}
  const image = type === 'container' ? actor.attributes['image'] : ''
  // Of a prune there is none.
  const id = actor.id === '' ? {} : { id: actor.id }
  return { status: action, ...id, ...(image === undefined || image === '' ? {} : { from: image }) }
}
