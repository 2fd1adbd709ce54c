/** What happened, told to whoever listens: a ring of the last events and live subscribers. Nothing is persisted. */
import { LONGEST_TIMER } from '../base/longest-timer.ts'
import type { EngineEvent, Filters } from './types.ts'

/** As many as dockerd keeps. */
const KEPT = 256
/** A listener that reads this slowly is cut off rather than kept in memory for ever. */
const MAX_BEHIND = 4096

export interface EventsOptions {
  readonly since?: number
  readonly until?: number
  readonly filters: Filters
  readonly signal: AbortSignal
}

export class EventBus {
  readonly #ring: EngineEvent[] = []
  readonly #listeners = new Set<(event: EngineEvent) => void>()
  #last = 0n

  get listeners(): number {
    return this.#listeners.size
  }

  emit(
    type: EngineEvent['type'],
    action: string,
    id: string,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    const event: EngineEvent = { type, action, actor: { id, attributes }, ...this.#now() }
    this.#ring.push(event)
    if (this.#ring.length > KEPT) this.#ring.shift()
    for (const listener of this.#listeners) listener(event)
  }

  /** Hears every event at once; returns the way to stop. */
  listen(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Past events since `since`, then live ones until `until` or abort. Subscribed before this returns. */
  subscribe(options: EventsOptions): AsyncIterable<EngineEvent> {
    const queue = new EventQueue((event) => matchesEvent(event, options.filters))
    // `until` alone asks for what is remembered, too, as with dockerd.
    if (options.since !== undefined || options.until !== undefined) {
      const { since = 0, until = Infinity } = options
      for (const event of this.#ring) if (event.time >= since && event.time <= until) queue.push(event)
    }
    const left = options.until === undefined ? undefined : options.until - Date.now()
    if (options.signal.aborted || (left !== undefined && left <= 0)) queue.end()
    const stop = this.listen((event) => queue.push(event))
    const timer =
      left === undefined
        ? undefined
        : setTimeout(() => queue.end(), Math.min(Math.max(left, 0), LONGEST_TIMER))
    const abort = (): void => queue.end()
    options.signal.addEventListener('abort', abort, { once: true })
    return queue.iterate(() => {
      stop()
      clearTimeout(timer)
      options.signal.removeEventListener('abort', abort)
    })
  }

  /** The wall clock in nanoseconds, made strictly increasing: clients tell events apart by it. */
  #now(): { readonly time: number; readonly timeNano: bigint } {
    const time = Date.now()
    const nano = BigInt(time) * 1_000_000n
    this.#last = nano > this.#last ? nano : this.#last + 1n
    return { time: Number(this.#last / 1_000_000n), timeNano: this.#last }
  }
}

class EventQueue {
  readonly #accepts: (event: EngineEvent) => boolean
  readonly #waiting: EngineEvent[] = []
  #wake: (() => void) | undefined
  #ended = false

  constructor(accepts: (event: EngineEvent) => boolean) {
    this.#accepts = accepts
  }

  push(event: EngineEvent): void {
    if (this.#ended || !this.#accepts(event)) return
    this.#waiting.push(event)
    if (this.#waiting.length > MAX_BEHIND) this.#ended = true
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *iterate(close: () => void): AsyncGenerator<EngineEvent> {
    try {
      for (;;) {
        const next = this.#waiting.shift()
        if (next !== undefined) yield next
        else if (this.#ended) return
        else await new Promise<void>((wake) => (this.#wake = wake))
      }
    } finally {
      close()
    }
  }
}

/** Docker's event filters; keys it does not know match nothing wrongly: they are refused by the API room. */
export function matchesEvent(event: EngineEvent, filters: Filters): boolean {
  for (const [key, values] of filters) {
    const one = (value: string): boolean => matchesOne(event, key, value)
    // Labels must all be there, of the rest one is enough.
    if (values.length > 0 && !(key === 'label' ? values.every(one) : values.some(one))) return false
  }
  return true
}

function matchesOne(event: EngineEvent, key: string, value: string): boolean {
  const { id, attributes } = event.actor
  const names = (type: EngineEvent['type'], attribute: string): boolean =>
    event.type === type
      ? id.startsWith(value) || attributes['name'] === value
      : attributes[attribute] === value
  switch (key) {
    case 'type':
      return event.type === value
    case 'event':
      // "exec_create: /bin/sh" and "health_status: healthy" are found by their first word too.
      return event.action === value || event.action.startsWith(`${value}:`)
    case 'container':
      return names('container', 'container')
    case 'image':
      return event.type === 'image'
        ? sameImage(id, value) || sameImage(attributes['name'] ?? '', value)
        : sameImage(attributes['image'] ?? '', value)
    case 'volume':
      return names('volume', 'volume')
    case 'network':
      return names('network', 'network')
    case 'daemon':
      return event.type === 'daemon'
    case 'scope':
      return value === 'local'
    case 'label':
      return matchesLabel(attributes, value)
    default:
      return false
  }
}

function sameImage(image: string, asked: string): boolean {
  return image === asked || image.replace(/:[^:/]*$/, '') === asked
}

/** `key` or `key=value`. */
export function matchesLabel(labels: Readonly<Record<string, string>>, filter: string): boolean {
  const at = filter.indexOf('=')
  if (at === -1) return Object.hasOwn(labels, filter)
  const key = filter.slice(0, at)
  return Object.hasOwn(labels, key) && labels[key] === filter.slice(at + 1)
}
