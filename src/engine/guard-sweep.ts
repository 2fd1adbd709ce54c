/**
 * What containers that have ended were allowed to send as (src/network/source-guard.ts) is taken back together, a second
 * later. Until then it speaks of an interface that is down or no more, and harms nobody; an engine that goes before leaves it
 * to the next one, which writes the whole table anew. One by one it held up others: whoever closes a socket of nf_tables
 * after deleting something waits for RCU, 5 ms, and all starts with a network wait for him (nft_rcv_nl_event holds the
 * network namespace's commit_mutex meanwhile; seen on Linux 6.18).
 *
 * With it goes an interface that the kernel still has by then. It removes those of a network namespace with the last that
 * holds it, which may be a connection that nobody answers any more: a hundred seconds (tcp_orphan_retries, tcp(7)).
 */
import type { Core } from '../kernel/core-api.ts'
import type { Step } from '../kernel/plan.ts'
import { unguardSteps, type GuardedPort } from '../network/source-guard.ts'
import { Mutex } from './mutex.ts'

/** ms */
const SOON = 1000
/** ms after a sweep that failed. */
const AGAIN = 10_000

export class GuardSweep {
  readonly #core: Pick<Core, 'run'>
  readonly #table: string
  readonly #failed: (error: unknown) => void
  /** By container. */
  readonly #left = new Map<string, readonly Step[]>()
  readonly #lock = new Mutex()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /** `failed` hears of sweeps that failed; they are tried again. */
  constructor(core: Pick<Core, 'run'>, table: string, failed: (error: unknown) => void) {
    this.#core = core
    this.#table = table
    this.#failed = failed
  }

  /** A container has ended, or has not come about. `removal`: of its interfaces, if they are there. */
  add(id: string, ports: () => readonly GuardedPort[], removal: () => readonly Step[] = () => []): void {
    let steps: readonly Step[]
    try {
      steps = [...removal(), ...unguardSteps('host', this.#table, ports())]
    } catch {
      // What cannot be written down (a MAC that is none) its start could not write down either.
      return
    }
    if (steps.length === 0) return
    this.#left.set(id, steps)
    this.#sweepIn(SOON)
  }

  /**
   * Before a container starts again: its interfaces have the same names, and what it was allowed before would be allowed to
   * it still, or taken from it while it runs. Its own alone: what keeps another's from being taken back is not its business.
   */
  async settle(id: string): Promise<void> {
    if (!this.#left.has(id)) return
    await this.#lock.run(() => this.#take([id]))
  }

  /** Resolves when all that had ended before is done. One at a time: what is taken back twice may be another run's by then. */
  sweep(): Promise<void> {
    return this.#lock.run(() => this.#take([...this.#left.keys()]))
  }

  /** Resolves when nothing is taken back any more: a next engine may start what has ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#lock.run(() => Promise.resolve())
  }

  #sweepIn(ms: number): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.sweep().catch((error: unknown) => {
        this.#failed(error)
        this.#sweepIn(AGAIN)
      })
    }, ms).unref()
  }

  /** All in one plan; if that fails each by itself, so that nobody's is kept by another's. */
  async #take(ids: readonly string[]): Promise<void> {
    const taken = ids.flatMap((id) => {
      const steps = this.#left.get(id)
      return steps === undefined ? [] : [{ id, steps }]
    })
    if (taken.length === 0) return
    try {
      await this.#core.run({ steps: taken.flatMap(({ steps }) => steps) })
    } catch (error) {
      if (taken.length === 1) throw error
      const results = await Promise.allSettled(taken.map(({ id }) => this.#take([id])))
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      return
    }
    for (const { id, steps } of taken) if (this.#left.get(id) === steps) this.#left.delete(id)
  }
}
