import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command } from '../command-spec.ts'
import { readConfig, setting } from '../config-file.ts'
import { bool, string } from '../flags.ts'
import { renderList } from '../list.ts'
import type { ListOptions } from '../list.ts'
import { figuresOf, statsView } from '../stats-entry.ts'
import type { StatsEntry } from '../stats-entry.ts'

const REDRAW_MS = 500
const FIRST_LIMIT_MS = 2000

export const stats = command({
  name: 'stats',
  summary: 'Display a live stream of container(s) resource usage statistics',
  usage: '[OPTIONS] [CONTAINER...]',
  arity: atLeast(0),
  flags: {
    all: bool('Show all containers (default shows just running)', { short: 'a' }),
    format: string('Format output: "table", "table TEMPLATE", "json" or a Go template'),
    'no-stream': bool('Disable streaming stats and only pull the first result'),
    'no-trunc': bool('Do not truncate output'),
  },
  examples: [{ command: 'dewar stats --no-stream', about: 'One reading of all that run' }],
  run: async (flags, names, cli) => {
    const client = await cli.client()
    const options = {
      format: flags.format === '' ? setting(await readConfig(cli.configFolder), 'statsFormat') : flags.format,
      quiet: false,
    }
    await using board = new Board(client, !flags['no-stream'])
    if (names.length === 0) await board.watchAll(flags.all)
    else board.add(names)
    await board.first(names.length > 0)
    if (flags['no-stream']) {
      cli.stdout.write(renderList(board.entries(), statsView(!flags['no-trunc']), options))
      return
    }
    await draw(board, options, !flags['no-trunc'], names.length > 0, cli)
  },
})

/** Redraws in place, line by line, so that nothing flickers. */
async function draw(
  board: Board,
  options: ListOptions,
  truncate: boolean,
  named: boolean,
  cli: Cli,
): Promise<void> {
  for (;;) {
    const table = renderList(board.entries(), statsView(truncate), options)
    const lines = table.split('\n').map((line) => `${line}\x1b[K`)
    cli.stdout.write(cli.stdout.isTTY ? `\x1b[H${lines.join('\n')}\x1b[J` : table)
    if (named && board.size === 0) return
    if (board.failure !== undefined) throw board.failure
    await delay(REDRAW_MS)
  }
}

/** The readings of the containers watched, by their name or id. */
class Board implements AsyncDisposable {
  failure: Error | undefined
  readonly #client: Client
  readonly #stream: boolean
  readonly #rows = new Map<
    string,
    { entry: StatsEntry; readonly stop: AbortController; readonly first: Promise<void> }
  >()
  readonly #stop = new AbortController()

  constructor(client: Client, stream: boolean) {
    this.#client = client
    this.#stream = stream
  }

  get size(): number {
    return this.#rows.size
  }

  entries(): StatsEntry[] {
    return [...this.#rows.values()].map(({ entry }) => entry)
  }

  add(names: readonly string[]): void {
    for (const name of names) {
      if (this.#rows.has(name)) continue
      const stop = new AbortController()
      const entry: StatsEntry = { container: name, name: '', id: '', figures: undefined }
      const { promise, resolve, reject } = withResolvers()
      this.#rows.set(name, { entry, stop, first: promise })
      promise.catch(() => undefined)
      this.#read(name, stop.signal, resolve).then(resolve, reject)
    }
  }

  /** What runs now, and what starts and ends while we look. */
  async watchAll(all: boolean): Promise<void> {
    const filters = { type: ['container'] }
    if (this.#stream) void this.#follow(all, filters).catch((error: Error) => (this.failure = error))
    const containers = await this.#client.containers.list({ all })
    this.add(containers.map(({ Id }) => Id.slice(0, 12)))
  }

  /** Waits for the first readings; named containers that do not exist are an error. */
  async first(strict: boolean): Promise<void> {
    const waits = [...this.#rows.values()].map(({ first }) => first)
    const stop = new AbortController()
    const enough = this.#stream
      ? [delay(FIRST_LIMIT_MS, undefined, { signal: stop.signal }).catch(() => undefined)]
      : []
    const all = strict ? Promise.all(waits) : Promise.allSettled(waits)
    await Promise.race([all, ...enough]).finally(() => stop.abort())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    for (const { stop } of this.#rows.values()) stop.abort()
  }

  async #follow(all: boolean, filters: Record<string, string[]>): Promise<void> {
    for await (const event of this.#client.system.events({ filters, signal: this.#stop.signal })) {
      const id = event.Actor.ID.slice(0, 12)
      if (event.Action === 'start' || (all && event.Action === 'create')) this.add([id])
      if (event.Action === (all ? 'destroy' : 'die')) this.#drop(id)
    }
  }

  #drop(id: string): void {
    this.#rows.get(id)?.stop.abort()
    this.#rows.delete(id)
  }

  async #read(name: string, signal: AbortSignal, onFirst: () => void): Promise<void> {
    for await (const reading of this.#client.containers.stats(name, { stream: this.#stream, signal })) {
      const row = this.#rows.get(name)
      if (row === undefined) return
      row.entry = { container: name, name: reading.name, id: reading.id, figures: figuresOf(reading) }
      onFirst()
    }
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve: () => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
