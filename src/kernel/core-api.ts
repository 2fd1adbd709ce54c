/**
 * What the native core offers to the rest: one spawner per engine that carries out plans, and one shim per
 * container that outlives the engine. `core.ts` implements it; this file is the contract.
 */
import type { Readable, Duplex } from 'node:stream'
import type { OnLent } from './lent-sockets.ts'
import type { Plan } from './plan.ts'

export interface RunOptions {
  /** Bytes for an `unpack` step (its operation stream). */
  readonly input?: Readable
  /** Called with the bytes a `pack` step writes, with back-pressure by the returned promise. */
  readonly output?: (chunk: Buffer) => void | Promise<void>
  readonly signal?: AbortSignal
}

export interface Core extends AsyncDisposable {
  /**
   * Carries out a plan that ends by itself. Resolves with the data frames its steps emitted (`netlink` with
   * `emit`, `read`), in order. Throws PlanFailed with the failing step.
   */
  run(plan: Plan, options?: RunOptions): Promise<Buffer[]>
  /**
   * Carries out a plan that ends in `exec` under a shim of its own. Resolves when execve has succeeded. `begun`: goes on
   * from there when the plan begins as that one did, else drops it first.
   */
  launch(plan: Plan, options: ShimOptions, begun?: Begun): Promise<Shim>
  /** Carries out such a plan up to its last gate; undefined when it has none. Resolves when that is under way. */
  begin(plan: Plan): Promise<Begun | undefined>
  /** Connects to the shim of a container that an earlier engine started; undefined when it is dead. */
  reconnect(runDir: string): Promise<Shim | undefined>
  /**
   * Who gets the sockets of `reserve-port` steps with `lendAs`, now and later. They come while the plan is carried
   * out or a moment after. Without a listener they are closed.
   */
  onLent(listener: OnLent): void
}

/** A plan that is carried out up to its last gate, and waits there. When its engine ends, so does it. */
export interface Begun {
  /** Resolves when it has been dropped, or ended by itself, and nothing of it is left. Not for one that was launched. */
  readonly gone: Promise<void>
  drop(): void
}

export interface LogOptions {
  /** json-file path; the shim appends to it and rotates it to `path.1`, `path.2`… */
  readonly path: string
  /** Bytes; 0 is unlimited. */
  readonly maxSize: number
  readonly maxFiles: number
  /** A JSON object on one line, which each entry has as `attrs`; '' for none. */
  readonly attributes?: string
}

export interface ShimOptions {
  /** Folder of this container under the run directory; holds shim.sock and, after the end, `exit`. */
  readonly runDir: string
  readonly tty: boolean
  /** Whether standard input is a pipe; else /dev/null. */
  readonly stdin: boolean
  /** Close the pipe when the first attached client half-closes its side. */
  readonly stdinOnce: boolean
  readonly log?: LogOptions
  /** Output is held back until this many `attach` calls have arrived. */
  readonly expectAttach: number
  /** Kernel ids that own the standard streams, so that the container's user may open /dev/stdout again. Set by the level. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** cgroup file read just before the `after` steps: memory.oom_control (v1) or memory.events (v2). */
  readonly oomFile?: string
}

/** How a process ended. */
export interface Exit {
  /** 0–255, 128+n for signal n. */
  readonly code: number
  readonly oomKilled: boolean
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Shim {
  /** Host pid of the container's first process and of the shim itself. */
  readonly pid: number
  readonly shimPid: number
  /** Resolves when the first process ended, all output is logged and the `after` steps have run. */
  readonly exited: Promise<Exit>
  /** Runs one more process in the container. Resolves when execve succeeded. */
  exec(plan: Plan, options: ExecOptions): Promise<ShimProcess>
  attach(options?: AttachOptions): Promise<Duplex>
  /** The same, and exactly where the log stood when the stream began. The container must have a log. */
  attachAfterLog(options: AttachOptions): Promise<{ readonly stream: Duplex; readonly logged: LogEnd }>
  signal(signal: number): Promise<void>
  resize(rows: number, cols: number): Promise<void>
  /**
   * Resolves, after `exited`, when the shim has let go of the container's layers, which waits for the disk: until then
   * they should not be mounted again. Also when the connection was closed here.
   */
  readonly gone: Promise<void>
  /**
   * `work` by the number of the first process, which is nobody else's as long as it goes on, whenever the container ends:
   * until `release` is called, and at most a second after the end, since what is to be opened by it has been opened long
   * before. NOT held: that of a container in another one's PID namespace, which is reaped at once (native/shim.c, `reap`).
   * Throws HasEnded, a `conflict`, when it has ended, told of or not.
   */
  whilePid<T>(work: (pid: number, release: () => void) => Promise<T>): Promise<T>
  /**
   * For a moment after `exited` it still holds the layers, so that what is deleted now is never written to the disk: deletes
   * a tree. False when it could not, or is not there any more.
   */
  discard(path: string): Promise<boolean>
  /** Lets go of the layers now: nothing of the container is to be deleted. Only after `exited`. */
  letGo(): void
  /** Forget the connection (the shim lives on). */
  close(): void
}

export interface ExecOptions {
  readonly tty: boolean
  readonly stdin: boolean
  /** As in ShimOptions; 0 means that output is discarded. */
  readonly expectAttach: number
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Gives it up while execve has not succeeded: who runs in the container can stop what is on its way there. */
  readonly signal?: AbortSignal
}

export interface ShimProcess {
  readonly pid: number
  readonly exited: Promise<Exit>
  attach(options?: AttachOptions): Promise<Duplex>
  signal(signal: number): Promise<void>
  resize(rows: number, cols: number): Promise<void>
}

/**
 * The stream an attach gives: reading it yields Docker's multiplexed frames (8-byte header: stream 1 or 2,
 * three zero bytes, length big endian), or the raw terminal bytes when the process has a terminal; writing to
 * it is standard input, ending it half-closes. It ends when the process's output has ended.
 */
export interface AttachOptions {
  readonly stdin?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
}

/** All that was logged: the log's files up to this size (bytes) of the one with this inode, then what is unfinished. */
export interface LogEnd {
  readonly inode: number
  readonly size: number
  /** Lines of stdout and stderr that had no newline yet and are not in the file. */
  readonly unfinished: readonly [Buffer, Buffer]
}

/** A step of a plan failed. `errno` is the name, such as ENOENT. */
export interface PlanFailure {
  readonly step: number
  readonly op: string
  readonly errno: string
  readonly path: string
}
