import type { Cli } from './cli.ts'
import type { Flag, FlagValues } from './flags.ts'

/** How many words a command takes. */
export interface Arity {
  readonly min: number
  readonly max: number
}

export const none: Arity = { min: 0, max: 0 }
export const exactly = (count: number): Arity => ({ min: count, max: count })
export const atLeast = (count: number): Arity => ({ min: count, max: Infinity })
export const between = (min: number, max: number): Arity => ({ min, max })
export const atMost = (max: number): Arity => ({ min: 0, max })

export interface Example {
  readonly command: string
  readonly about: string
}

// `any` would be needed to keep tables of commands with different flags; the builder below closes over them instead.
export interface CommandSpec {
  readonly name: string
  readonly aliases: readonly string[]
  readonly summary: string
  readonly usage: string
  readonly arity: Arity
  readonly flags: Readonly<Record<string, AnyFlag>>
  /** The first word that is no flag ends the flags: what follows belongs to the container's command. */
  readonly stopsAtWord: boolean
  readonly examples: readonly Example[]
  /** Exit code for flags that are none: 125 as of docker, where nothing else is said. */
  readonly misuse: number
  readonly run: (
    values: ReadonlyMap<string, unknown>,
    given: ReadonlySet<string>,
    args: readonly string[],
    cli: Cli,
  ) => Promise<number>
}

/** A flag whose value's type only its own table knows. */
export interface AnyFlag {
  readonly short?: string
  readonly value: string | undefined
  readonly summary: string
  readonly initial: unknown
  readonly hidden?: boolean
  readonly aliasOf?: string
  readonly parse: (word: string, previous: unknown) => unknown
}

export interface GroupSpec {
  readonly name: string
  readonly summary: string
  readonly commands: readonly CommandSpec[]
}

type Table = Readonly<Record<string, unknown>>
type FlagOf<T> = T extends Flag<infer V> ? V : never
export type ValuesOf<F extends Table> = FlagValues<{ [K in keyof F]: { initial: FlagOf<F[K]> } }>

/**
 * Declares a command. `run` gets the flags typed from the table and answers with the exit code (nothing = 0).
 *
 * @example
 * export const rename = command({
 *   name: 'rename', usage: 'CONTAINER NEW_NAME', summary: 'Rename a container', arity: exactly(2), flags: {},
 *   examples: [{ command: 'dewar rename web shop', about: 'The container web is called shop from now on' }],
 *   run: async (_flags, [from = '', to = ''], cli) => (await cli.client()).containers.rename(from, to),
 * })
 */
export function command<F extends Table>(spec: {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly usage: string
  readonly arity: Arity
  readonly flags: F
  readonly stopsAtWord?: boolean
  readonly examples: readonly Example[]
  readonly misuse?: number
  readonly run: (flags: ValuesOf<F>, args: readonly string[], cli: Cli) => Promise<number | void>
}): CommandSpec {
  const table: Record<string, AnyFlag> = {}
  for (const [name, flag] of Object.entries(spec.flags)) {
    if (isFlag(flag)) table[name] = { ...flag, parse: (word, previous) => flag.add(word, previous) }
  }
  return {
    aliases: [],
    stopsAtWord: false,
    misuse: 125,
    ...spec,
    flags: table,
    run: async (values, given, args, cli) => {
      const flags: unknown = { ...Object.fromEntries(values), given }
      if (!areValues<ValuesOf<F>>(flags)) return 125
      return (await spec.run(flags, args, cli)) ?? 0
    },
  }
}

function isFlag(value: unknown): value is Flag<unknown> {
  return typeof value === 'object' && value !== null && 'add' in value
}

/** The parser fills every flag of the table, each by its own `add`; the compiler cannot follow that through the map. */
function areValues<T>(value: unknown): value is T {
  return typeof value === 'object'
}
