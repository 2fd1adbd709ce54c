/** What the probes lay out for an engine: a folder of the host that it must not touch. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCanary } from '../../canary.ts'
import type { ProbeContext } from '../../probe.ts'

/** A folder of the host that nothing of a container may change, with a canary in it; gone at the end. */
export interface Trap extends Disposable {
  readonly folder: string
  readonly word: string
  /** Names that were not there before. */
  strangers(): readonly string[]
  intact(): boolean
  /** What was made in it is taken away again; whether something had been. */
  sweep(): boolean
}

export function layTrap({ journal }: ProbeContext, asset: string, { open = false } = {}): Trap {
  const { text } = makeCanary(asset)
  const folder = join(journal.folder, `trap-${text.slice(0, 8)}`)
  const gone = journal.plan({ kind: 'folder', path: folder })
  mkdirSync(folder, { mode: 0o755 })
  writeFileSync(join(folder, 'canary'), text)
  // For each user inside, whoever that is on the host: then no permission stands in for what is judged.
  if (open)
    for (const path of [folder, join(folder, 'canary')]) chmodSync(path, path === folder ? 0o777 : 0o666)
  const strangers = (): string[] => readdirSync(folder).filter((name) => name !== 'canary')
  return {
    folder,
    word: text,
    strangers,
    sweep() {
      const found = strangers()
      for (const name of found) rmSync(join(folder, name), { recursive: true, force: true })
      return found.length > 0
    },
    intact: () => readFileSync(join(folder, 'canary'), 'utf8') === text,
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true })
      gone()
    },
  }
}
