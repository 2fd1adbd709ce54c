/** What a build tells: lines in dockerd's words, clients print them as they are. */
import type { OnProgress } from '../types.ts'

export interface Output {
  /** dockerd's standard output. */
  text(text: string): void
  /** dockerd's standard error: red. */
  error(text: string): void
  /** The image of a stage or the whole. */
  image(id: string): void
  readonly onProgress: OnProgress
}

export function outputTo(onProgress: OnProgress, quiet: boolean): Output {
  const tell: OnProgress = quiet ? () => undefined : onProgress
  return {
    text: (text) => tell({ stream: text }),
    error: (text) => tell({ stream: `\u001B[91m${text}\u001B[0m` }),
    image: (id) => tell({ aux: { ID: id } }),
    onProgress: tell,
  }
}

/** As dockerd shows ids; nothing of none. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}
