/** Work that several callers want at the same time is done once; it is aborted when the last of them has gone. */
import type { OnProgress, Progress } from './progress.ts'
import { abortReason } from './http.ts'

interface Running<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  readonly listeners: Set<OnProgress>
  /** The last word on each line, for those who come later. */
  readonly said: Map<string, Progress>
}

export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>()

  /** Rejects when the caller's signal is aborted; the work goes on while others wait for it, else it has ended by then. */
  async run(
    key: string,
    caller: { readonly onProgress: OnProgress; readonly signal: AbortSignal },
    start: (onProgress: OnProgress, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (caller.signal.aborted) throw abortReason(caller.signal)
    const running = this.#running.get(key) ?? this.#start(key, start)
    for (const progress of running.said.values()) caller.onProgress(progress)
    // An own function per caller: one caller may ask twice.
    const listener: OnProgress = (progress) => caller.onProgress(progress)
    running.listeners.add(listener)
    let left = (): void => undefined
    const gone = new Promise<never>((_resolve, reject) => {
      left = () => reject(abortReason(caller.signal))
      caller.signal.addEventListener('abort', left, { once: true })
    })
    try {
      return await Promise.race([running.result, gone])
    } finally {
      caller.signal.removeEventListener('abort', left)
      running.listeners.delete(listener)
      if (running.listeners.size === 0) {
        running.stop.abort()
        if (this.#running.get(key) === running) this.#running.delete(key)
        // It has to clean up; whoever hears that it ended may look.
        await running.result.catch(() => undefined)
      }
    }
  }

  #start(key: string, start: (onProgress: OnProgress, signal: AbortSignal) => Promise<T>): Running<T> {
    const listeners = new Set<OnProgress>()
    const said = new Map<string, Progress>()
    const stop = new AbortController()
    const tell: OnProgress = (progress) => {
      said.set(progress.id ?? `${said.size}`, progress)
      for (const listener of listeners) listener(progress)
    }
    const result = start(tell, stop.signal).finally(() => {
      if (this.#running.get(key) === running) this.#running.delete(key)
    })
    result.catch(() => undefined)
    const running: Running<T> = { result, stop, listeners, said }
    this.#running.set(key, running)
    return running
  }
}

/** At most `places` at a time, in order of arrival. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  get full(): boolean {
    return this.#free === 0
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#free -= 1
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
