/** The native core as the engine sees it: one spawner process, a connection per plan. Wire format: frames.ts. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DewarError, errnoOf } from '../base/errors.ts'
import { BegunPlan, partsOf, launchWhole } from './begun.ts'
import type { Begun, Core, RunOptions, Shim, ShimOptions } from './core-api.ts'
import { encodePlan } from './encode.ts'
import { connectUnix, failureOf, frame, onFrames, type Frame } from './frames.ts'
import { takeLent, type OnLent } from './lent-sockets.ts'
import type { Plan } from './plan.ts'
import { Control, ShimGone } from './shim-control.ts'
import { SHIM_SOCKET, ShimClient, shimStep } from './shim.ts'

/** Where `native/build.mjs` put the program: beside the package this file belongs to. */
function corePath(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (folder !== '/') {
    const candidate = join(folder, 'native/build/dewar-core')
    if (existsSync(candidate)) return candidate
    folder = dirname(folder)
  }
  throw new DewarError('system', 'Starting the engine failed: native/build/dewar-core is missing', {
    remedy: 'build it with `npm run build`; that needs a C compiler',
  })
}

export interface CoreOptions {
  /** Folder for the spawner's socket; must exist and be ours alone. */
  readonly runDir: string
  /** Another program to use, such as the AddressSanitizer build. */
  readonly program?: string
}

/** Starts a spawner. It ends with this object, or when this process ends however that may be. */
export async function startCore(options: CoreOptions): Promise<Core> {
  const core = new NativeCore(options.program ?? corePath(), join(options.runDir, 'spawner.sock'))
  await core.spawner()
  return core
}

class NativeCore implements Core {
  readonly #program: string
  readonly #socketPath: string
  #spawner: Promise<ChildProcess> | undefined
  #lent: OnLent | undefined
  #closed = false
  #spare: Promise<Socket> | undefined

  constructor(program: string, socketPath: string) {
    this.#program = program
    this.#socketPath = socketPath
  }

  /** The running spawner; started anew when it was killed. */
  spawner(): Promise<ChildProcess> {
    if (this.#closed)
      return Promise.reject(
        new DewarError('unavailable', 'Carrying out a plan failed: the engine is closing'),
      )
    this.#spawner ??= this.#start()
    return this.#spawner
  }

  #start(): Promise<ChildProcess> {
    const started: Promise<ChildProcess> = new Promise((resolve, reject) => {
      const stdio = ['pipe', 'pipe', 'pipe', 'ipc'] satisfies StdioOptions
      const child = spawn(this.#program, ['spawner', this.#socketPath], { stdio })
      child.on('message', (message, handle) => takeLent(message, handle, this.#lent))
      let complaint = ''
      const failed = (why: string): void => {
        if (this.#spawner === started) this.#spawner = undefined
        reject(new DewarError('system', `Starting the native core ${this.#program} failed: ${why.trim()}`))
      }
      child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
      child.stdout?.once('data', () => resolve(child))
      child.once('error', (error) => failed(error.message))
      child.once('exit', (code, signal) => failed(complaint || `it ended with ${signal ?? code}`))
    })
    return started
  }

  /** A runner of the spawner, forked ahead: a start would wait 0.8 ms for it to be there. */
  async #runner(): Promise<Socket> {
    const prepared = this.#spare
    this.#spare = undefined
    const spare = await prepared?.catch(() => undefined)
    return spare === undefined || spare.destroyed ? this.#connect() : spare
  }

  /** In a later turn: who asked for what the last runner did is to hear of it first. */
  #prepareRunner(): void {
    setImmediate(() => this.#prepareNow())
  }

  #prepareNow(): void {
    if (this.#closed || this.#spare !== undefined) return
    const spare = this.#connect()
    this.#spare = spare
    spare.then(
      (socket) => {
        socket.on('error', () => undefined) // 'close' follows
        socket.once('end', () => socket.destroy())
        socket.resume()
      },
      () => undefined, // who needs a runner is told why there is none
    )
  }

  async #connect(): Promise<Socket> {
    const spawner = this.spawner()
    await spawner
    try {
      return await connectUnix(this.#socketPath)
    } catch (error) {
      // A killed spawner leaves its socket; its `exit` event may still be on the way.
      if (errnoOf(error) !== 'ECONNREFUSED') throw error
      if (this.#spawner === spawner) this.#spawner = undefined
      await this.spawner()
      return connectUnix(this.#socketPath)
    }
  }

  onLent(listener: OnLent): void {
    this.#lent = listener
  }

  async run(plan: Plan, options: RunOptions = {}): Promise<Buffer[]> {
    const bytes = encodePlan(plan)
    const socket = await this.#runner()
    try {
      return await carryOut(socket, plan, bytes, options)
    } finally {
      this.#prepareRunner()
    }
  }

  async launch(plan: Plan, options: ShimOptions, begun?: Begun): Promise<Shim> {
    const parts = partsOf(plan, shimStep(options, options))
    const fits = begun instanceof BegunPlan && begun.fits(parts)
    const shim = fits ? await begun.goOn(plan, parts.encodeRest(), options.runDir) : undefined
    if (shim !== undefined) return shim
    begun?.drop()
    await begun?.gone
    try {
      return await launchWhole(new Control(await this.#runner(), options.runDir, plan), parts, options.runDir)
    } finally {
      this.#prepareRunner()
    }
  }

  async begin(plan: Plan): Promise<Begun | undefined> {
    const { first, encodeFirst } = partsOf(plan)
    const bytes = encodeFirst()
    if (bytes === undefined) return undefined
    try {
      return new BegunPlan(new Control(await this.#runner(), '', plan), first, bytes)
    } finally {
      this.#prepareRunner()
    }
  }

  async reconnect(runDir: string): Promise<Shim | undefined> {
    try {
      const control = new Control(await connectUnix(join(runDir, SHIM_SOCKET)), runDir)
      control.linger()
      const started = await control.ask(frame('W'))
      return new ShimClient(control, runDir, started.payload)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT' || errno === 'ECONNREFUSED' || error instanceof ShimGone) return undefined
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const spare = await this.#spare?.catch(() => undefined)
    spare?.destroy()
    const child = await this.#spawner?.catch(() => undefined)
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.stdin?.end()
      if (child.connected) child.disconnect()
      await ended
    }
    await unlink(this.#socketPath).catch(() => undefined)
  }
}

/** Sends the plan, feeds `input` behind it, collects data frames until O or F. */
function carryOut(socket: Socket, plan: Plan, bytes: Buffer, options: RunOptions): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const data: Buffer[] = []
    let settled = false
    const { output } = options
    const delivery = output === undefined ? undefined : new Delivery(socket, output)
    const settle = (act: () => void): void => {
      if (settled) return
      settled = true
      options.signal?.removeEventListener('abort', abort)
      // Pieces still on their way to `output` come first.
      if (delivery === undefined) act()
      else delivery.all.then(act, reject)
      options.input?.destroy()
      socket.destroy()
    }
    const abort = (): void =>
      settle(() => reject(new DewarError('system', 'Carrying out a plan failed: aborted')))
    const take = (f: Frame): void => {
      if (f.type === 'O') settle(() => resolve(data))
      else if (f.type === 'F') settle(() => reject(failureOf(f.payload, plan)))
      else if (f.type === 'D') data.push(Buffer.from(f.payload))
    }
    onFrames(socket, take, delivery && ((part) => delivery.take(part)))
    socket.on('error', () => undefined) // 'close' follows
    socket.on('close', () =>
      settle(() => reject(new DewarError('system', 'Carrying out a plan failed: the native core ended'))),
    )
    socket.write(frame('P', bytes))
    options.signal?.addEventListener('abort', abort, { once: true })
    options.input?.on('error', (error) => settle(() => reject(error)))
    if (options.input !== undefined) feed(options.input, socket)
  })
}

/** So far the sender may be ahead of the core, which waits for the disk at times. */
const AHEAD_BYTES = 1024 * 1024

/** Writes what comes together, and what gathers while the core is busy, by one writev(2): 32 KiB at a time cost a third more. */
function feed(input: Readable, socket: Socket): void {
  input.on('data', (bytes: Buffer) => {
    socket.cork()
    process.nextTick(() => socket.uncork())
    socket.write(bytes)
    if (socket.writableLength >= AHEAD_BYTES) input.pause()
  })
  socket.on('drain', () => input.resume())
}

/** Hands pieces on in order; the socket pauses while the receiver is busy. */
class Delivery {
  readonly #socket: Socket
  readonly #output: NonNullable<RunOptions['output']>
  #busy = false
  /** Resolves when what has come so far is delivered. */
  all: Promise<void> = Promise.resolve()

  constructor(socket: Socket, output: NonNullable<RunOptions['output']>) {
    this.#socket = socket
    this.#output = output
  }

  take(part: Buffer): void {
    // One read may bring several pieces: those behind a busy one wait for it.
    const taken = this.#busy ? this.all.then(() => this.#output(part)) : this.#output(part)
    if (taken === undefined) return
    this.#busy = true
    this.#socket.pause()
    const all = taken.then(() => {
      if (this.all !== all) return
      this.#busy = false
      this.#socket.resume()
    })
    this.all = all
    all.catch(() => this.#socket.destroy())
  }
}
