/** What a build tells: lines in dockerd's words, clients print them as they are. */
import type { OnProgress } from '../types.ts'

export interface Output {
  /** dockerd's standard output. */
  text(text: string): void
  /** dockerd's standard error: red. */
  error(text: string): void
  /** The image of a stage or the whole. */
  image(id: string): void
  /** The whole's, for one who asked for nothing else. */
  result(id: string): void
  /** The build has failed: what a quiet one has kept is told after all, as dockerd does. */
  failed(): void
  readonly onProgress: OnProgress
  /** Resolves when whoever is told can take more. */
  ready(): Promise<void>
}

/** Asked to be quiet, it keeps this much, for the case that the build fails. */
const KEPT_BYTES = 1024 * 1024

export function outputTo(onProgress: OnProgress, quiet: boolean, ready: () => Promise<void>): Output {
  const kept: string[] = []
  let size = 0
  const keep = (text: string): void => {
    kept.push(text)
    for (size += text.length; size > KEPT_BYTES;) size -= kept.shift()?.length ?? size
  }
  const text = quiet ? keep : (line: string): void => onProgress({ stream: line })
  return {
    text,
    error: (line) => text(`\u001B[91m${line}\u001B[0m`),
    image: (id) => (quiet ? undefined : onProgress({ aux: { ID: id } })),
    result: (id) => (quiet ? onProgress({ stream: `${id}\n` }) : undefined),
    failed: () => {
      for (const stream of kept.splice(0)) onProgress({ stream })
    },
    onProgress: quiet ? () => undefined : onProgress,
    ready,
  }
}

/** As dockerd shows ids; nothing of none. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}
