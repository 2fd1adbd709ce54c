/**
 * The words of the audit, and the shape of its report (`--json`, docs/AUDIT.md). Everything else in this room either
 * makes a report or shows one.
 */

/** out: what others see of a container. in: what a container sees of its host. across: what neighbours do to each other. */
export type Direction = 'out' | 'in' | 'across'

/**
 * LEAK: seen, with evidence. CONTAINED: not seen although it was there and the observer could have seen it.
 * ABSENT: the thing does not exist on this target or machine. INCONCLUSIVE: a control failed; the reason says which.
 */
export type Verdict = 'LEAK' | 'CONTAINED' | 'ABSENT' | 'INCONCLUSIVE'

export const OBSERVERS = [
  'guest',
  'neighbour',
  'unprivileged-user',
  'host-root',
  'determined-root',
  'disk-thief',
  'api-user',
] as const

export type Observer = (typeof OBSERVERS)[number]

/** What a probe is, apart from how it is done. */
export interface ProbeDescription {
  /** As in the catalogue: `O01`, `I25`, `A23`. */
  readonly id: string
  /** `direction.asset.channel`: `out.file.name-find`. */
  readonly slug: string
  readonly direction: Direction
  readonly asset: string
  readonly observers: readonly Observer[]
  /** One sentence that ends in a question mark; "yes" is a leak. */
  readonly question: string
  readonly method: string
  /** `CWE-668`, `CVE-2019-5736`, `T1083`. */
  readonly references: readonly string[]
  /** What a user of any engine can do about a LEAK. */
  readonly remedy: string
  /** `load` only with `--load`; `bounded` is part of the default run. */
  readonly interference: 'none' | 'bounded' | 'load'
  /** Whether it can judge a container that somebody else made and uses (`dewar audit container NAME`). */
  readonly readOnly: boolean
}

/** Something a reader can check: where the canary was seen, or the value that equals the host's. */
export interface Evidence {
  readonly kind: 'path' | 'process' | 'device' | 'packet' | 'value' | 'syscall' | 'measurement'
  readonly text: string
}

export interface Control {
  readonly what: string
  readonly held: boolean
}

export interface Result {
  /** Name of the target: `dewar`, `docker`, `podman`, `runsc`… */
  readonly target: string
  /** Id of the probe. */
  readonly probe: string
  readonly verdict: Verdict
  /** One sentence; for LEAK what is seen, for the others why. */
  readonly reason: string
  readonly evidence: readonly Evidence[]
  /** Positive and negative; CONTAINED only when all held. */
  readonly controls: readonly Control[]
  /** ms */
  readonly duration: number
}

export interface TargetReport {
  readonly name: string
  readonly kind: 'dewar' | 'docker' | 'podman' | 'oci-runtime' | 'container'
  /** As the engine says it; empty when it is not there. */
  readonly version: string
  /** Isolation level or runtime. */
  readonly level: string
  readonly runArguments: readonly string[]
  /** Why it was not judged, and what to do; absent when it was. */
  readonly missing?: { readonly reason: string; readonly remedy: string }
}

/** A channel the discoverer found by itself. */
export interface Discovery {
  readonly target: string
  readonly path: string
  /** equal: the host's value. delta: moves with what the host does. */
  readonly kind: 'equal-value' | 'equal-delta' | 'host-driven'
  readonly sample: string
  /** Probes of the catalogue that cover it; empty: nobody's list has it. */
  readonly known: readonly string[]
}

/** How far the discoverer looked on a target, so that nothing found is not taken for nothing there. */
export interface Survey {
  readonly target: string
  /** Found inside below /proc and /sys. */
  readonly files: number
  /** Of these readable on both sides, read again and again, and judged. */
  readonly compared: number
  /** A limit ended the walk before everything was seen. */
  readonly cut: boolean
  /** They did not answer in time and were left out. */
  readonly blocked: readonly string[]
  /** Kernel of the machine whose files were taken as reference; absent: none was given. */
  readonly reference?: string
  /** Equal values that this reference has too, and that are therefore not reported. */
  readonly constant?: number
  /** Why it could not be carried out to the end. */
  readonly failure?: string
}

export const REPORT_SCHEMA = 'https://dewar.dev/schemas/audit-report-1.json'

export interface Report {
  readonly schema: typeof REPORT_SCHEMA
  readonly dewar: string
  /** ISO 8601, UTC. */
  readonly startedAt: string
  /** ms */
  readonly duration: number
  readonly host: {
    readonly kernel: string
    readonly cpus: number
    readonly memory: number
    readonly cgroup: string
  }
  readonly targets: readonly TargetReport[]
  readonly probes: readonly ProbeDescription[]
  readonly results: readonly Result[]
  readonly discoveries: readonly Discovery[]
  /** One per target where the discoverer was asked for; absent in reports of older versions. */
  readonly surveys?: readonly Survey[]
  /** What the audit could not remove again, with the remedy; empty on a good day. */
  readonly leftovers: readonly string[]
}
