/** What a probe is given, made for one probe and released with it; the world and the target outlive it. */
import type { Guest, GuestProcess } from './guest-types.ts'
import type { Journal } from './journal.ts'
import { freshUid, startTool } from './observers/tool.ts'
import { plantWorld } from './plant-world.ts'
import type { ProbeContext } from './probe.ts'
import type { Subject, SubjectOptions, Target } from './target.ts'
import type { World } from './world.ts'

export interface Surroundings {
  readonly target: Target
  readonly journal: Journal
  /** Path of the static program on the host. */
  readonly program: string
  readonly load: boolean
  /** Begins the conversation with the program inside (guest.ts). */
  readonly openGuest: (process: GuestProcess) => Promise<Guest>
  /** Judged instead of one of ours; then there is no world. */
  readonly container?: Subject
}

/** One target's shared container, made when the first probe asks. */
export class SharedWorld implements AsyncDisposable {
  readonly #surroundings: Surroundings
  #world: Promise<World> | undefined

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  get(): Promise<World> {
    return (this.#world ??= this.#plant())
  }

  async #plant(): Promise<World> {
    const made: Subject[] = []
    try {
      return await plantWorld(
        async (options) => {
          const subject = await this.#surroundings.target.create(options)
          made.push(subject)
          return subject
        },
        async (subject) => this.#surroundings.openGuest(await subject.exec()),
      )
    } catch (error) {
      for (const subject of made) await subject.remove()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const world = await this.#world?.catch(() => undefined)
    await world?.guest[Symbol.asyncDispose]()
    await world?.subject.remove()
  }
}

export class Context implements ProbeContext, AsyncDisposable {
  readonly target: Target
  readonly signal: AbortSignal
  readonly load: boolean
  readonly journal: Journal
  readonly container: Subject | undefined
  readonly #surroundings: Surroundings
  readonly #shared: SharedWorld
  readonly #held: AsyncDisposable[] = []

  constructor(surroundings: Surroundings, shared: SharedWorld, signal: AbortSignal) {
    this.target = surroundings.target
    this.journal = surroundings.journal
    this.load = surroundings.load
    this.container = surroundings.container
    this.signal = signal
    this.#surroundings = surroundings
    this.#shared = shared
  }

  // Probes take these apart (`run({ world, create })`), so they hold on to their object by themselves.
  readonly world = (): Promise<World> => {
    if (this.container !== undefined)
      throw new Error('a container of somebody else holds no canaries of ours')
    return this.#shared.get()
  }

  readonly subject = async (): Promise<Subject> => this.container ?? (await this.world()).subject

  readonly create = async (options: SubjectOptions = {}): Promise<Subject> => {
    this.signal.throwIfAborted()
    return this.#hold(await this.target.create(options))
  }

  readonly network: ProbeContext['network'] = async (options = {}) => {
    const network = await this.target.makeNetwork(options)
    return network === undefined ? undefined : this.#hold(network)
  }

  readonly guest: ProbeContext['guest'] = async (subject, options = {}) =>
    this.#open(await subject.exec(options))

  readonly observer: ProbeContext['observer'] = async (options = {}) => {
    const uid = options.unprivileged === true ? await freshUid() : undefined
    const { journal, program } = this.#surroundings
    return this.#open(await startTool(journal, program, { ...options, uid }))
  }

  async #open(process: GuestProcess): Promise<Guest> {
    return this.#hold(await this.#surroundings.openGuest(process))
  }

  /** Also when the probe was given up meanwhile: `create` may come back after the end. */
  #hold<T extends AsyncDisposable>(resource: T): T {
    this.#held.push(resource)
    return resource
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = []
    for (const resource of this.#held.splice(0).reverse()) {
      try {
        await resource[Symbol.asyncDispose]()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `cleaning up after a probe failed: ${String(errors[0])}`)
  }
}
