/** What a pull or push tells while it goes on: Docker's words, one object per line of its JSON stream. */
export interface Progress {
  readonly status?: string
  readonly id?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly aux?: unknown
}
export type OnProgress = (progress: Progress) => void

/** Names a layer in progress lines, as Docker does. */
export function shortId(digest: string): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 12)
}

const EVERY_MS = 100

/** Byte counts for one layer, at most ten times a second. */
export class Meter {
  readonly #tell: OnProgress
  readonly #status: string
  readonly #id: string
  readonly #total: number
  #last = 0

  constructor(tell: OnProgress, status: string, id: string, total: number) {
    this.#tell = tell
    this.#status = status
    this.#id = id
    this.#total = total
  }

  at(current: number): void {
    const now = performance.now()
    if (now - this.#last < EVERY_MS && current < this.#total) return
    this.#last = now
    this.#tell({ status: this.#status, id: this.#id, progressDetail: { current, total: this.#total } })
  }
}
