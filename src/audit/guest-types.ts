/**
 * What a probe can ask of the program inside: raw system calls, decided here and only carried out there. The same
 * program with another uid or in another network namespace is also how observers on the host look (never in the
 * host's own PID namespace: it refuses to run there).
 */
import type { Readable, Writable } from 'node:stream'

/** A running program with its streams: the guest's wire, whichever engine carries it. */
export interface GuestProcess extends AsyncDisposable {
  readonly stdin: Writable
  readonly stdout: Readable
  /** What it said on stderr so far (the reason when it could not start). */
  complaint(): string
  /** Resolves when its streams have ended. */
  readonly ended: Promise<void>
}

/**
 * An argument of a system call. A number goes as it is (also addresses an earlier call gave). Buffers are put into the
 * guest's memory and their address is passed: `in` with these bytes, `out` with room for so many that come back.
 * `result` is the value of an earlier call of the same batch (a descriptor that was just opened).
 */
export type Argument =
  | number
  | bigint
  | { readonly in: Buffer | string; readonly pointers?: readonly Pointer[] }
  /** `short`: only as much comes back as the call returned (read). */
  | { readonly out: number; readonly short?: boolean }
  /** Bytes that go in, are changed by the kernel, and come back. */
  | { readonly inout: Buffer }
  | { readonly result: number }

/** The address of these bytes stands in the buffer at this offset (argv, iovec, msghdr). Strings get their zero byte. */
export interface Pointer {
  readonly at: number
  readonly to: Buffer | string
}

export interface Call {
  /** Name as in the kernel's table (x86_64 and aarch64 differ in numbers): `openat`, `socket`. */
  readonly name: string
  readonly args: readonly Argument[]
  /** When it fails, the calls after it are not made. */
  readonly ends?: boolean
  /** When it says anything but that nothing is there (ENOENT, ESRCH), `repeat` ends with this round. */
  readonly finds?: boolean
}

export interface Answer {
  /** What the call gave; -1 when it failed. */
  readonly value: bigint
  /** 0, or the number of the error. */
  readonly errno: number
  /**
   * `EPERM`, `''` when it succeeded. `NOT-MADE` when the batch ended before, `SIGSYS`… when the call killed the child,
   * `TIMEOUT` when it did not come back; `errno` is -1 then.
   */
  readonly error: string
  /** The `out` and `inout` buffers in the order of the arguments. */
  readonly out: readonly Buffer[]
}

/** What a forked child did. */
export interface ChildAnswers {
  readonly answers: readonly Answer[]
  /** Exit code of what was executed in it; undefined when it was killed. */
  readonly exit: number | undefined
  /** `SIGSYS`… when it was killed. */
  readonly signal: string | undefined
}

export interface Repeat {
  /** At most so often; once when `milliseconds` is not given either. */
  readonly times?: number
  /** Ends earlier after this many ms. */
  readonly milliseconds?: number
  /** In so many processes at once (default 1, at most 256); 0: in the guest itself, which takes no process number. */
  readonly processes?: number
  /** Answers of every round, or of the last one only (default). */
  readonly keep?: 'all' | 'last'
}

export interface Rounds {
  /** Rounds carried out. */
  readonly rounds: number
  /** ns of CLOCK_MONOTONIC each kept round took. */
  readonly nanoseconds: readonly bigint[]
  readonly answers: readonly (readonly Answer[])[]
}

export interface Entry {
  readonly name: string
  readonly type: 'file' | 'directory' | 'link' | 'other'
}

export interface GuestStat {
  /** Octal permission bits and type as st_mode has them. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly inode: bigint
  /** `major:minor`. */
  readonly device: string
}

/** Throws GuestError { error: 'ENOENT', … } where a call fails; `syscall` and `batch` answer instead. One request at a time. */
export interface Guest extends AsyncDisposable {
  syscall(name: string, ...args: readonly Argument[]): Promise<Answer>
  /** Calls one after the other in the guest itself. */
  batch(calls: readonly Call[]): Promise<readonly Answer[]>
  /** The same in a forked child, which ends afterwards: what it opened or unshared goes with it. */
  inChild(calls: readonly Call[], milliseconds?: number): Promise<readonly Answer[]>
  /** The same, with how the child ended: for execve. */
  fork(calls: readonly Call[], milliseconds?: number): Promise<ChildAnswers>
  /**
   * Again and again, in a forked child: load and measurements. Processes that a round makes (clone) end with the batch
   * and answer nothing.
   */
  repeat(calls: readonly Call[], repeat: Repeat): Promise<Rounds>
  readFile(path: string, limit?: number): Promise<Buffer>
  /** Opens (O_CLOEXEC added) and closes again: undefined when that worked, else the name of the error. */
  tryOpen(path: string, flags?: number): Promise<string | undefined>
  /** Creates or truncates; `sync` = fsync before it is closed. */
  writeFile(
    path: string,
    content: Buffer | string,
    options?: { mode?: number; sync?: boolean },
  ): Promise<void>
  listFolder(path: string): Promise<readonly Entry[]>
  readLink(path: string): Promise<string>
  stat(path: string): Promise<GuestStat>
  unlink(path: string): Promise<void>
  makeFolder(path: string, mode?: number): Promise<void>
  /** undefined when connected (and closed again), else the name of the error. `host` is an IPv4 or IPv6 address. */
  connect(
    where: { readonly unix: string } | { readonly host: string; readonly port: number },
    milliseconds?: number,
  ): Promise<string | undefined>
  /** The guest's own pid as it sees it. */
  readonly pid: number
  /** As uname(2) names it: `x86_64`, `aarch64`. */
  readonly machine: string
}
