/**
 * One line of the conformance table: a bash script in which `docker` is the client under test, run in an empty folder
 * against an engine that has the images busybox, configured, healthy, layered, nginx and no containers.
 * `realdocker` is always the docker client, for what stands around the command that is compared.
 */
export interface Row {
  /** Unique; says what is shown. */
  readonly name: string
  readonly script: string
  /** The exit code dockerd gives; default 0. A row that the reference does not fulfil proves nothing and fails. */
  readonly code?: number
  /** Must match what dockerd answers (both streams, normalised). */
  readonly shows?: RegExp
  /** More that may differ between two runs on the same engine. */
  readonly normalise?: readonly (readonly [RegExp, string])[]
  /** Order of the lines is not promised. */
  readonly anyOrder?: boolean
  /** Why this row is not run with our own CLI. */
  readonly notCli?: string
  /** Milliseconds; default 120,000. */
  readonly timeout?: number
}

/** For scripts: waits till the container `cx` has printed "up". */
export const UNTIL_UP = 'until realdocker logs cx 2>&1 | grep -q up; do sleep 0.05; done;'

/**
 * For scripts: waits till the engine has told of this event since `$s`, in seconds. The row before may have made one in the
 * same second: take a fraction, or wait for the next one.
 */
export const untilTold = (event: string): string =>
  `until realdocker events --since $s --until $(date +%s.%N) --filter event=${event} --format '{{.Action}}' | grep -q .; do sleep 0.05; done;`
