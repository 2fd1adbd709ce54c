/**
 * What the audit judges, in one interface: an engine with Docker's API, or a bare OCI runtime. A target makes subjects
 * (containers of the audit's own image) and says where on the host their traces could be.
 */
import type { Client } from '../client/connect.ts'
import type { GuestProcess } from './guest-types.ts'
import type { TargetReport } from './types.ts'

/** The static program inside the image and its two roles. */
export const PROGRAM = '/dewar-audit'
/** Answers system calls on stdin/stdout until stdin ends. */
export const GUEST_ARGV = [PROGRAM, 'audit-guest'] as const
/** Prints each following word, decoded from hex, on stdout, then sleeps until SIGTERM: so a log canary is in no argv. */
export const PAUSE_ARGV = [PROGRAM, 'audit-pause'] as const

export interface SubjectMount {
  readonly source: string
  readonly target: string
  readonly readOnly?: boolean
  /** `bind` when not given; a tmpfs and a named volume have no place on the host that the audit chose. */
  readonly type?: 'bind' | 'tmpfs' | 'volume'
}

export interface SubjectOptions {
  /** Words after PAUSE_ARGV. */
  readonly words?: readonly string[]
  /** Instead of PAUSE_ARGV and `words`. */
  readonly argv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly hostname?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly mounts?: readonly SubjectMount[]
  /** Bytes. */
  readonly memory?: number
  readonly cpus?: number
  readonly pids?: number
  /** `default`: as the target's `run` does without a word; a name: one of `makeNetwork`. */
  readonly network?: 'none' | 'default' | { readonly name: string }
  /** Folders and files of the image are the audit's own; another one for probes of hostile images. */
  readonly image?: string
  readonly workingFolder?: string
  readonly user?: string
  /** Read by Docker-API targets only: merged over the body of POST /containers/create last. */
  readonly body?: object
}

export interface ExecOptions {
  readonly argv?: readonly string[]
  readonly user?: string
  readonly env?: Readonly<Record<string, string>>
  readonly workingFolder?: string
  readonly privileged?: boolean
}

/** A container that runs. Disposing of it removes it with everything of it. */
export interface Subject extends AsyncDisposable {
  readonly id: string
  readonly name: string
  /** Host pid of the container's first process (of the sandbox or VMM where there is a kernel between). */
  readonly pid: number
  /** Another process inside; GUEST_ARGV when no argv is given. */
  exec(options?: ExecOptions): Promise<GuestProcess>
  /** Host pids of all that belongs to it: first process, what it started, and its own helpers (shim, conmon, gofer, VMM). */
  pids(): Promise<readonly number[]>
  /** Whether the first process is still there. */
  alive(): Promise<boolean>
  /** Address in its first network; undefined without one. */
  address(): Promise<string | undefined>
  stop(): Promise<void>
  /** With force; does nothing the second time. */
  remove(): Promise<void>
}

export interface Network extends AsyncDisposable {
  readonly name: string
}

export interface Target extends AsyncDisposable {
  readonly report: TargetReport
  /** The engine's API; undefined for a bare OCI runtime. */
  readonly client: Client | undefined
  /** Path of its unix socket. */
  readonly socket: string | undefined
  /** The network namespace of the engine as a path for nsenter; undefined when it is the host's own. */
  readonly networkNamespace: string | undefined
  /** Folders at rest and running state that belong to this target. */
  folders(): Promise<readonly string[]>
  /** The engine and its helpers that belong to no container; empty without an engine. */
  enginePids(): Promise<readonly number[]>
  create(options?: SubjectOptions): Promise<Subject>
  /** undefined where a target has no networks of its own. */
  makeNetwork(options?: { readonly internal?: boolean }): Promise<Network | undefined>
}
