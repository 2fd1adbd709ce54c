/** The engine's side of a shim: what it is asked for, execs, and attached streams. */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { hasNamespaces } from '../base/process-namespaces.ts'
import type { AttachOptions, ExecOptions, Exit, LogEnd, Shim, ShimOptions, ShimProcess } from './core-api.ts'
import { AttachedStream } from './attached-stream.ts'
import { encodePlan, type ShimStep } from './encode.ts'
import { connectUnix, failureOf, frame, u32, type Frame } from './frames.ts'
import type { Plan } from './plan.ts'
import { PlanFailed } from './plan-failed.ts'
import { Control, HasEnded, ShimGone } from './shim-control.ts'

/** The socket of the first process's shim, in the container's folder; an exec's has a name of its own. */
export const SHIM_SOCKET = 'shim.sock'
/** Beside it, from the end on: how it ended (native/shim.c). */
export const EXIT_FILE = 'exit'
/** Renamed to it when it is whole. */
export const EXIT_DRAFT = 'exit.tmp'

/** All bits set: the streams stay root's. */
const NO_OWNER = -1

/** Beside the streams an attacher wants: the end of the log first. */
const REPLAY = 8

/** A process of the container, the first one or an exec, by its shim. */
class Process implements ShimProcess {
  readonly pid: number
  readonly exited: Promise<Exit>
  protected readonly control: Control
  protected readonly runDir: string
  readonly #socket: string

  constructor(control: Control, runDir: string, socket: string, started: Buffer) {
    this.control = control
    this.runDir = runDir
    this.#socket = join(runDir, socket)
    this.pid = started.readUInt32LE(0)
    this.exited = control.exited
  }

  async signal(signal: number): Promise<void> {
    await this.control.ask(frame('K', u32(signal)))
  }

  async resize(rows: number, cols: number): Promise<void> {
    await this.control.ask(frame('Z', u32((rows & 0xffff) | (cols << 16))))
  }

  async attach(options: AttachOptions = {}): Promise<Duplex> {
    const { stdin = true, stdout = true, stderr = true } = options
    if (!stdout && !stderr) return await this.connectStream(stdin ? STDIN : 0)
    const output = await this.connectStream(outputFlags({ stdout, stderr }))
    return new AttachedStream(output, stdin ? await this.connectInput() : undefined)
  }

  protected async connectStream(flags: number): Promise<Socket> {
    const socket = await connectUnix(this.#socket)
    socket.write(frame('A', Buffer.from([flags])))
    // Input for who has ended is lost in any case. Output may be on its way: only the shim's end shows that none comes.
    const unheard =
      flags === STDIN ? () => socket.destroy(new ShimGone(this.runDir)) : () => this.control.settle()
    const answer = await this.control.answered(takeFrame(socket, this.runDir), unheard)
    if (answer.type === 'F') {
      socket.destroy()
      throw failureOf(answer.payload)
    }
    socket.on('end', () => socket.end()) // the process's output is over: there is nobody left to write to
    return socket
  }

  /** undefined when the process has ended in the meantime: its output is still to be read. */
  protected connectInput(): Promise<Socket | undefined> {
    return this.connectStream(STDIN).catch(() => undefined)
  }
}

const STDIN = 1

function outputFlags({ stdout = true, stderr = true }: AttachOptions): number {
  return (stdout ? 2 : 0) | (stderr ? 4 : 0)
}

/** Takes exactly one frame off the socket; what follows stays in it. Destroys it when that cannot be. */
function takeFrame(socket: Socket, runDir: string): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      socket.off('readable', readable)
      socket.off('error', failed)
      socket.off('end', ended)
      settle()
    }
    const failed = (error: Error): void =>
      finish(() => {
        socket.destroy()
        reject(error)
      })
    const ended = (): void => failed(new ShimGone(runDir))
    let head: Buffer | undefined
    const readable = (): void => {
      head ??= readExactly(socket, 5)
      if (head === undefined) return
      const size = head.readUInt32LE(0) - 1
      const payload = size === 0 ? Buffer.alloc(0) : readExactly(socket, size)
      const type = String.fromCharCode(head[4] ?? 0)
      if (payload !== undefined) finish(() => resolve({ type, payload }))
    }
    socket.on('readable', readable)
    socket.on('error', failed)
    socket.on('end', ended)
    readable() // of several frames the later ones may be there already
  })
}

function readExactly(socket: Socket, size: number): Buffer | undefined {
  const chunk: unknown = socket.read(size)
  return Buffer.isBuffer(chunk) ? chunk : undefined
}

/** The last step of a launch or exec plan: the numbers and strings that native/shim.c names TTY … LOG_ATTRS. */
export function shimStep(
  o: Pick<ShimOptions, Exclude<keyof ExecOptions, 'signal'> | 'stdinOnce'>,
  first?: Pick<ShimOptions, 'runDir' | 'log' | 'oomFile'>,
  socket = SHIM_SOCKET,
): ShimStep {
  const flag = (value: boolean): number => (value ? 1 : 0)
  const owner = o.owner ?? { uid: NO_OWNER, gid: NO_OWNER }
  const attributes = first?.log?.attributes ?? ''
  const attrs = attributes === '' ? '' : `,"attrs":${attributes}`
  const streams = [flag(o.tty), flag(o.stdin), flag(o.stdinOnce), o.expectAttach, owner.uid, owner.gid]
  return {
    actor: 'host',
    op: 'shim',
    numbers: [...streams, first?.log?.maxSize ?? 0, first?.log?.maxFiles ?? 1],
    texts: [first?.runDir ?? '', socket, first?.log?.path ?? '', first?.oomFile ?? '', attrs],
  }
}

export class ShimClient extends Process implements Shim {
  readonly shimPid: number

  constructor(control: Control, runDir: string, started: Buffer) {
    super(control, runDir, SHIM_SOCKET, started)
    this.shimPid = started.readUInt32LE(4)
  }

  get gone(): Promise<void> {
    return this.control.closed
  }

  async discard(path: string): Promise<boolean> {
    const done = await this.control.ask(frame('D', Buffer.from(`${path}\0`))).then(
      () => true,
      () => false,
    )
    this.letGo()
    return done
  }

  letGo(): void {
    this.control.settle()
  }

  async attachAfterLog(options: AttachOptions): Promise<{ stream: Duplex; logged: LogEnd }> {
    const output = await this.connectStream(outputFlags(options) | REPLAY)
    const at = await takeFrame(output, this.runDir)
    const [stdout, stderr] = [await takeFrame(output, this.runDir), await takeFrame(output, this.runDir)]
    const logged = {
      inode: Number(at.payload.readBigUInt64LE(0)),
      size: Number(at.payload.readBigUInt64LE(8)),
      unfinished: [stdout.payload, stderr.payload],
    } as const
    const input = options.stdin === false ? undefined : await this.connectInput()
    return { stream: new AttachedStream(output, input), logged }
  }

  async exec(plan: Plan, options: ExecOptions): Promise<ShimProcess> {
    const name = `exec-${randomBytes(8).toString('hex')}.sock`
    const socket = await connectUnix(join(this.runDir, SHIM_SOCKET))
    const control = new Control(socket, this.runDir, plan)
    const giveUp = (): void => control.giveUp()
    try {
      options.signal?.throwIfAborted()
      options.signal?.addEventListener('abort', giveUp, { once: true })
      const last = shimStep({ ...options, stdinOnce: true }, undefined, name)
      const asked = control.ask(frame('E', encodePlan(plan, last)))
      // If it was accepted its own shim answers, even now.
      const started = await this.control.answered(asked, () => this.control.settle())
      // An exec's end is the last that is heard here; a container may have thousands in its life.
      control.exited.then(
        () => control.close(),
        () => control.close(),
      )
      return new Process(control, this.runDir, name, started.payload)
    } catch (error) {
      control.close()
      throw error
    } finally {
      options.signal?.removeEventListener('abort', giveUp)
    }
  }

  whilePid<T>(work: (pid: number, release: () => void) => Promise<T>): Promise<T> {
    return this.control
      .holding((release) => work(this.pid, release))
      .catch((error: unknown) => {
        throw this.#isForEnd(error) ? new HasEnded(this.runDir) : error
      })
  }

  /**
   * Between the end and the telling, which waits for whoever has output to read, the process is a zombie, and a zombie
   * has no namespaces: they cannot be opened, and nothing can be sent there.
   */
  #isForEnd(error: unknown): boolean {
    if (!(error instanceof PlanFailed) || hasNamespaces(this.pid)) return false
    const { op, errno, path } = error
    if (op === 'netlink') return errno === 'ESRCH'
    return op === 'open' && errno === 'ENOENT' && path.startsWith(`/proc/${this.pid}/ns/`)
  }

  close(): void {
    this.control.close()
  }
}
