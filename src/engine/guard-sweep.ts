/**
 * What containers that have ended were allowed to send as (src/network/source-guard.ts) is taken back together, a second
 * later. Until then it speaks of an interface that is no more, and harms nobody; an engine that goes before leaves it to
 * the next one, which writes the whole table anew. One by one it held up others: whoever closes a socket of nf_tables after
 * deleting something waits for RCU, 5 ms, and all starts with a network wait for him (nft_rcv_nl_event holds the network
 * namespace's commit_mutex meanwhile; seen on Linux 6.18).
 */
import type { Core } from '../kernel/core-api.ts'
import { unguardSteps, type GuardedPort } from '../network/source-guard.ts'
import { Mutex } from './mutex.ts'

/** ms */
const SOON = 1000

export class GuardSweep {
  readonly #core: Pick<Core, 'run'>
  readonly #table: string
  readonly #left = new Map<string, readonly GuardedPort[]>()
  readonly #lock = new Mutex()
  #timer: NodeJS.Timeout | undefined

  constructor(core: Pick<Core, 'run'>, table: string) {
    this.#core = core
    this.#table = table
  }

  /** A container has ended. `failed` hears why its ports could not be taken back; the next sweep tries again. */
  add(id: string, ports: readonly GuardedPort[], failed: (error: unknown) => void): void {
    if (ports.length === 0) return
    this.#left.set(id, ports)
    this.#timer ??= setTimeout(() => void this.sweep().catch(failed), SOON).unref()
  }

  /**
   * Before a container starts again: its interfaces have the same names, and what it was allowed before would be allowed to
   * it still, or taken from it while it runs.
   */
  async settle(id: string): Promise<void> {
    while (this.#left.has(id)) await this.sweep()
  }

  /** Resolves when all that had ended before is done. One at a time: what is taken back twice may be another run's by then. */
  sweep(): Promise<void> {
    return this.#lock.run(() => this.#take())
  }

  async #take(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const taken = [...this.#left]
    if (taken.length === 0) return
    const ports = taken.flatMap(([, some]) => some)
    await this.#core.run({ steps: unguardSteps('host', this.#table, ports) })
    for (const [id, some] of taken) if (this.#left.get(id) === some) this.#left.delete(id)
  }
}
