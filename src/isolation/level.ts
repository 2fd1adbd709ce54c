/** An isolation level: what stands between a container and its host. One folder per level implements this. */
import type {
  Begun,
  Core,
  RunOptions,
  Shim,
  ShimOptions,
  ShimProcess,
  ExecOptions,
} from '../kernel/core-api.ts'
import type { OciProcess, OciSpec } from '../kernel/oci.ts'
import type { Plan, Step } from '../kernel/plan.ts'

export type LevelName = 'namespaces' | 'sealed' | 'gvisor' | 'microvm'

/** Everything a level needs to make one container: the OCI spec and what the OCI spec cannot say. */
export interface Bundle {
  readonly id: string
  readonly spec: OciSpec
  readonly rootfs: Rootfs
  readonly network: NetworkSteps
  /** Run tini-like init as the first process (`--init`). */
  readonly init: boolean
  readonly shim: ShimOptions
}

export interface FilesOptions extends RunOptions {
  /** The root alone, without the volumes and files that are mounted in it. */
  readonly bare?: boolean
}

export interface Rootfs {
  /** Read-only layer folders, topmost first. Owned by ids as in the image (0 is root). */
  readonly lower: readonly string[]
  /** Writable layer and overlay work folder; `upper` and `work` lie in one folder on one filesystem. */
  readonly upper: string
  readonly work: string
}

/** What src/network decided; the level puts these into the plan where they belong. */
export interface NetworkSteps {
  /** Before the clone (host), while the child waits (parent: veth creation), in the container's namespace (guest), at the end. */
  readonly host: readonly Step[]
  readonly parent: readonly Step[]
  readonly guest: readonly Step[]
  readonly after: readonly Step[]
}

export type Availability =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: string; readonly remedy: string }

export interface Level {
  readonly name: LevelName
  available(): Promise<Availability>
  /** Pure: the plan that would be carried out. */
  plan(bundle: Bundle): Plan
  /** `begun`: by this level, for a bundle like this one; dropped when this one begins otherwise. */
  start(core: Core, bundle: Bundle, begun?: Begun): Promise<Shim>
  /** Does as much of a start as a bundle of which little is known allows; undefined when that is nothing. */
  begin(core: Core, bundle: Pick<Bundle, 'spec' | 'rootfs' | 'shim'>): Promise<Begun | undefined>
  exec(shim: Shim, bundle: Bundle, process: OciProcess, options: ExecOptions): Promise<ShimProcess>
  /**
   * Runs `pack`, `unpack` or `read` steps in the container's file tree: in a copy of its mount namespace when it
   * runs (`running` given), else in a fresh mount of its layers; in both without the kernel's file systems.
   */
  files(
    core: Core,
    bundle: Bundle,
    running: Shim | undefined,
    steps: readonly Step[],
    options?: FilesOptions,
  ): Promise<Buffer[]>
  /** Steps that remove whatever a killed shim may have left of this container (idempotent). */
  release(bundle: Bundle): Plan
  pause(core: Core, bundle: Bundle): Promise<void>
  unpause(core: Core, bundle: Bundle): Promise<void>
}
