/** A container as the engine holds it: what is remembered (`record`) and what is going on (`live`). */
import { messageOf } from '../base/errors.ts'
import type { Bundle, Level } from '../isolation/level.ts'
import type { Exit, Shim } from '../kernel/core-api.ts'
import { containerPaths, type ContainerPaths } from './container-folder.ts'
import type { Exec } from './exec.ts'
import type { HealthMonitor } from './health.ts'
import type { LateStream } from './late-stream.ts'
import type { LogPosition } from './log-files.ts'
import { Mutex } from './mutex.ts'
import type { RecordFile } from './record-file.ts'
import type { ContainerRecord } from './record.ts'
import type { AttachRequest, WaitCondition } from './types.ts'

export interface Running {
  readonly kind: 'running'
  readonly shim: Shim
  readonly bundle: Bundle
  readonly level: Level
  /** Resolves when the end has been recorded. */
  readonly ended: Promise<void>
}

export type Live =
  | { readonly kind: 'idle' }
  | Running
  | { readonly kind: 'restarting'; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'removing' }

export interface WaitResult {
  readonly code: number
  readonly error?: string
}

interface Waiter {
  readonly condition: WaitCondition
  readonly resolve: (result: WaitResult) => void
}

export interface PendingAttach {
  readonly request: AttachRequest
  readonly stream: LateStream
  /** Up to here the log has been replayed to it; undefined when it did not ask. */
  readonly replayed: LogPosition | undefined
}

/** ms between attempts to write a record that found no room. */
const RETRY = 1000

export class Container {
  record: ContainerRecord
  live: Live = { kind: 'idle' }
  /** Resolves when nothing of the last run is left: its end is on disk, its layers are free, its run folder is gone. */
  gone: Promise<unknown> = Promise.resolve()
  /** Of the last run, as long as it holds the layers. */
  departing: Shim | undefined
  health: HealthMonitor | undefined
  readonly paths: ContainerPaths
  /** Held by what starts, removes or changes it; never while waiting for an exit that needs nobody. */
  readonly lock = new Mutex()
  /**
   * Held by who mounts its layers, a start too: each mount of an overlay removes the folder that another mount of it works
   * in (ovl_workdir_create in fs/overlayfs/super.c), so of two at once one fails, or can write no more.
   */
  readonly layers = new Mutex()
  readonly execs = new Map<string, Exec>()
  readonly pendingAttaches = new Set<PendingAttach>()
  /** Those the shim was told to wait for: each has to be connected, even if its client has left. */
  expectedAttaches: readonly PendingAttach[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #file: RecordFile
  #retry: NodeJS.Timeout | undefined

  constructor(record: ContainerRecord, folder: string, file: RecordFile) {
    this.record = record
    this.#file = file
    this.paths = containerPaths(folder)
  }

  get id(): string {
    return this.record.id
  }

  get name(): string {
    return this.record.name
  }

  get running(): Running | undefined {
    return this.live.kind === 'running' ? this.live : undefined
  }

  get paused(): boolean {
    return this.running !== undefined && this.record.state.status === 'running' && this.record.state.paused
  }

  /** What is remembered is on disk too; false on a full disk, until a later write succeeds. */
  get saved(): boolean {
    return this.#retry === undefined
  }

  /** When the layers are wanted again. */
  async settled(): Promise<void> {
    this.departing?.letGo()
    await this.gone
  }

  /** Remembers on disk, and then here; what cannot be written is an error and changes nothing. */
  async update(change: Partial<ContainerRecord>): Promise<void> {
    const next = { ...this.record, ...change }
    this.#save(next)
    this.record = next
  }

  /**
   * For what has happened, or has to: it is not undone by a full disk. Written as soon as there is room; `warn` gets
   * the reason if that is not now. Answers whether it is on disk.
   */
  async remember(change: Partial<ContainerRecord>, warn: (message: string) => void): Promise<boolean> {
    this.note(change)
    return this.keep(warn)
  }

  /** The first half of `remember`. */
  note(change: Partial<ContainerRecord>): void {
    this.record = { ...this.record, ...change }
  }

  /** The second half: what is in the record, on disk. */
  async keep(warn: (message: string) => void): Promise<boolean> {
    try {
      this.#save(this.record)
      return true
    } catch (error) {
      warn(`Recording the state of container ${this.name} failed: ${messageOf(error)}`)
      this.#retry ??= setInterval(() => this.#tryAgain(), RETRY).unref()
      return false
    }
  }

  #tryAgain(): void {
    try {
      this.#save(this.record)
    } catch {
      // Why has been said; it is tried again.
    }
  }

  /** A container being removed has no file any more. */
  #save(record: ContainerRecord): void {
    if (this.live.kind !== 'removing') this.#file.save(record)
    clearInterval(this.#retry)
    this.#retry = undefined
  }

  /** The result of the last run; what a wait for "not running" answers at once. */
  lastResult(): WaitResult {
    const { state } = this.record
    if (state.status === 'running') return { code: 0 }
    return { code: state.exitCode, ...(state.error === '' ? {} : { error: state.error }) }
  }

  wait(condition: WaitCondition): Promise<WaitResult> {
    const waits =
      condition !== 'not-running' || this.live.kind === 'running' || this.live.kind === 'restarting'
    if (!waits) return Promise.resolve(this.lastResult())
    return new Promise((resolve) => this.#waiters.add({ condition, resolve }))
  }

  /** A run is over. */
  notifyExit(result: WaitResult): void {
    this.#notify(result, (condition) => condition !== 'removed')
  }

  /** Whoever still waits for an end waits in vain. */
  notifyRemoved(): void {
    this.#notify(this.lastResult(), () => true)
  }

  #notify(result: WaitResult, concerns: (condition: WaitCondition) => boolean): void {
    for (const waiter of this.#waiters) {
      if (!concerns(waiter.condition)) continue
      this.#waiters.delete(waiter)
      waiter.resolve(result)
    }
  }
}

export type { Exit }
