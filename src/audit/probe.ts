import type { Guest } from './guest-types.ts'
import type { Journal } from './journal.ts'
import type { Network, Subject, SubjectOptions, Target } from './target.ts'
import type { ProbeDescription } from './types.ts'
import type { Finding } from './verdict.ts'
import type { World } from './world.ts'

/** A question of the catalogue with the way to answer it. One file each, or one for a tight family. */
export interface Probe extends ProbeDescription {
  /** ms it may take on a machine under load; 30,000 when not given. */
  readonly timeout?: number
  /** May throw: the runner makes INCONCLUSIVE of it, with the message. Ends soon after the signal. */
  run(context: ProbeContext): Promise<Finding>
}

export interface ProbeContext {
  readonly target: Target
  /** Aborted by the probe's own timeout, Ctrl-C and the total limit. */
  readonly signal: AbortSignal
  /** Load beyond the safe default was asked for (`--load`). */
  readonly load: boolean
  /** Things outside containers that a probe plants (files, processes): written down before, so that kill -9 leaves nothing. */
  readonly journal: Journal
  /** The container of somebody else that is judged; undefined in an ordinary run. */
  readonly container: Subject | undefined
  /** The shared, quiet container of this target with a canary in every asset. Look, do not change or stop it. */
  readonly world: () => Promise<World>
  /** The container judged: somebody else's, or the world's. */
  readonly subject: () => Promise<Subject>
  /** A container for this probe alone; removed when the probe ends, however it ends. */
  readonly create: (options?: SubjectOptions) => Promise<Subject>
  readonly network: (options?: { readonly internal?: boolean }) => Promise<Network | undefined>
  /** The program inside, as another process of the subject; closed when the probe ends. */
  readonly guest: (subject: Subject, options?: { readonly user?: string }) => Promise<Guest>
  /**
   * The same program on the host's side, as an observer: in a PID namespace of its own, with the host's files and
   * network (or another process's network namespace), as root or as a fresh unprivileged user.
   */
  readonly observer: (options?: {
    readonly unprivileged?: boolean
    readonly networkOf?: number
    /** `nsenter --all` into this process first; the program is the one of its image. */
    readonly enter?: number
  }) => Promise<Guest>
}
