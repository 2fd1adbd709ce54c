/** What the experiment says. Words only; what is done is in run.ts. */
import type { Writable } from 'node:stream'
import type { HostSearch, ProcessSearch } from './host-search.ts'
import type { Paint } from './paint.ts'

export interface Findings {
  /** What was written into the file. */
  readonly secret: string
  readonly search: HostSearch
  readonly listing: ProcessSearch
  /** The container's secret environment variable as read through /proc, and through which process. */
  readonly environment: { readonly pid: number; readonly value: string | undefined }
  /** What the container says of itself. */
  readonly inside: { readonly uid: string; readonly processes: string }
}

const WIDTH = 96

export class Story {
  readonly #out: Writable
  readonly #paint: Paint
  readonly #signal: AbortSignal
  #count = 0

  /** When `signal` aborts, no further step is begun. */
  constructor(out: Writable, paint: Paint, signal: AbortSignal) {
    this.#out = out
    this.#paint = paint
    this.#signal = signal
  }

  title(): void {
    this.#line(this.#paint.bold('Do containers contain? An experiment.'))
    this.#line()
  }

  /** Does one step and says what came of it and how long it took. */
  async step<T>(what: string, act: () => Promise<T>, tell: (result: T) => string): Promise<T> {
    this.#signal.throwIfAborted()
    const started = performance.now()
    const result = await act()
    const time = `${((performance.now() - started) / 1000).toFixed(1)} s`
    this.#count += 1
    const number = this.#paint.bold(`${this.#count}.`)
    this.#line(`${number} ${what.padEnd(36)} ${this.#paint.dim(time.padStart(6))}  ${tell(result)}`)
    return result
  }

  note(text: string): void {
    for (const line of wrap(text, WIDTH - 4)) this.#line(`   ${this.#paint.dim(line)}`)
  }

  findings(found: Findings): void {
    this.#line()
    this.#line(this.#paint.bold("What the host's root finds"))
    this.#files(found)
    this.#processes(found)
    this.#environment(found)
  }

  explanation(found: Findings): void {
    this.#line()
    this.#line(this.#paint.bold('What this means'))
    for (const paragraph of explain(found)) {
      for (const line of wrap(paragraph, WIDTH)) this.#line(`  ${line}`)
      this.#line()
    }
  }

  farewell(text: string): void {
    this.#line(this.#paint.dim(text))
  }

  #files({ search: { command, files, cutShort }, secret }: Findings): void {
    if (cutShort)
      this.note(
        "(this host is too large for `find /` while you wait, so only the engine's folder is searched)",
      )
    this.#command(command)
    if (files.length === 0) this.#line(`     ${this.#paint.good('nothing')}`)
    for (const file of files) {
      this.#line(`     ${this.#paint.bad(file.path)}`)
      const read = file.content === secret ? `readable: "${file.content}"` : 'not readable'
      this.#line(this.#paint.dim(`     owned by uid ${file.uid}, ${read}`))
    }
  }

  #processes({ listing: { command: searched, processes } }: Findings): void {
    this.#command(searched)
    if (processes.length === 0) this.#line(`     ${this.#paint.good('nothing')}`)
    for (const { pid, uid, command } of processes) {
      this.#line(`     ${this.#paint.bad(`pid ${pid}`)}  uid ${uid}  ${command.slice(0, WIDTH - 30)}`)
    }
  }

  #environment({ environment }: Findings): void {
    this.#command(`cat /proc/${environment.pid}/environ`)
    const { value } = environment
    this.#line(
      `     ${value === undefined ? this.#paint.good('nothing') : this.#paint.bad(`EXPERIMENT_SECRET=${value}`)}`,
    )
  }

  #command(text: string): void {
    this.#line(`   ${this.#paint.bold(`# ${text}`)}`)
  }

  #line(text = ''): void {
    this.#out.write(`${text}\n`)
  }
}

/** A few plain sentences about what was seen on this run. */
export function explain(found: Findings): string[] {
  return [explainFiles(found), explainProcesses(found), LEVELS, MEMORY]
}

function explainFiles({ search: { files }, inside }: Findings): string {
  const [first] = files
  if (first === undefined)
    return 'The file was not found: this engine keeps the writable layer where find does not come.'
  const belongs =
    first.uid === 0
      ? 'and it belongs to root on the host too: on this engine, root in a container is root of the host.'
      : `but on the host it belongs to uid ${first.uid}: root in the container is nobody special outside.`
  return (
    'The file was found, because a container has no disk of its own. Its writable layer is a folder on the host, and ' +
    `root may read every folder. Inside, uid ${inside.uid} made it, ${belongs}`
  )
}

function explainProcesses({ listing, inside }: Findings): string {
  if (listing.processes.length === 0) return 'The processes were not found.'
  return (
    `Its processes are processes of the host's own kernel, seen through a keyhole: inside there ` +
    `${inside.processes === '1' ? 'is one' : `are ${inside.processes}`}, numbered from 1, and nothing of the host; ` +
    'outside, root sees them with command line and environment. Never put a secret there.'
  )
}

const LEVELS =
  'So namespaces keep what is inside from seeing out, not the host from looking in. Stronger levels are to come ' +
  '(not in this version): `sealed` will hide the files, `gvisor` the files and all but one sandbox process, `microvm` ' +
  'all but one virtual machine.'

const MEMORY = 'No level hides memory from a determined root: that takes confidential-computing hardware.'

/** Breaks a paragraph between words. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
