/** What `--build-arg` gives and ARG declares. */
import type { Variables } from './expand.ts'

/** Usable without a declaration, and then part of neither cache nor history. */
const PREDEFINED = new Set(
  ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [
    name,
    name.toLowerCase(),
  ]),
)

export class BuildArgs {
  readonly #given: ReadonlyMap<string, string | undefined>
  /** Declared before the first FROM. */
  readonly #global = new Map<string, string | undefined>()
  /** Declared in this stage. */
  #declared = new Map<string, string | undefined>()
  readonly #used = new Set<string>()

  constructor(given: Readonly<Record<string, string | null>>) {
    this.#given = new Map(Object.entries(given).map(([name, value]) => [name, value ?? undefined]))
  }

  declareGlobal(name: string, value: string | undefined): void {
    this.#global.set(name, value)
    if (this.#given.has(name)) this.#used.add(name)
  }

  declare(name: string, value: string | undefined): void {
    this.#declared.set(name, value)
    if (this.#given.has(name)) this.#used.add(name)
  }

  beginStage(): void {
    this.#declared = new Map()
  }

  /** For FROM. */
  get globals(): Variables {
    return definedOf([...this.#global].map(([name, value]) => [name, this.#given.get(name) ?? value]))
  }

  /** Name and value of all that a step may see and that the configuration's own variables do not hide. */
  visible(env: Variables): Map<string, string> {
    const names = [
      ...this.#declared.keys(),
      ...[...this.#given.keys()].filter((name) => PREDEFINED.has(name)),
    ]
    return definedOf(
      names.filter((name) => !env.has(name)).map((name) => [name, this.#valueOf(name)] as const),
    )
  }

  /** Whether it counts for the cache and stands in the history. */
  isRecorded(name: string): boolean {
    return this.#declared.has(name) || !PREDEFINED.has(name)
  }

  /** Given and never declared. */
  unused(): string[] {
    return [...this.#given.keys()].filter((name) => !this.#used.has(name) && !PREDEFINED.has(name)).toSorted()
  }

  #valueOf(name: string): string | undefined {
    const given = this.#given.get(name)
    if (given !== undefined) return given
    // `ARG x` without a value takes that of the ARG before FROM.
    return this.#declared.get(name) ?? this.#globalOf(name)
  }

  #globalOf(name: string): string | undefined {
    return this.#declared.has(name) ? this.#global.get(name) : undefined
  }
}

function definedOf(entries: readonly (readonly [string, string | undefined])[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const [name, value] of entries) if (value !== undefined) found.set(name, value)
  return found
}
