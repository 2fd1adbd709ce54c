/**
 * On a host that systemd runs, the v2 tree is systemd's (https://systemd.io/CGROUP_DELEGATION): it may turn controllers off
 * above groups that it does not know. So it is asked for a unit whose group is handed over, which outlives the engine, as
 * its containers do. v1's trees are shared by custom and have no delegation.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { DewarError } from '../base/errors.ts'
import { readCgroups, type CgroupLayout } from './cgroup-layout.ts'

/** systemd answers within a second; one that hangs must not keep the engine from saying so (ms). */
const PATIENCE = 60_000

/** Runs a program, with nothing asked of the terminal. */
export type Call = (program: string, args: readonly string[]) => Promise<unknown>

const call: Call = (program, args) =>
  promisify(execFile)(program, [...args], { timeout: PATIENCE, killSignal: 'SIGKILL' })

/** sd_booted(3) */
const BOOTED = '/run/systemd/system'

export const runsSystemd = (layout: CgroupLayout): boolean => layout.mode === 'v2' && existsSync(BOOTED)

const unitOf = (instance: string): string => `dewar-${instance}.service`

/** Where in the tree the groups of an engine are. */
export const delegatedGroup = (instance: string): string => `/dewar.slice/${unitOf(instance)}`

/** The machine's control groups, and our place in them. Throws unavailable. */
export async function openCgroups(instance: string): Promise<CgroupLayout> {
  const layout = await readCgroups()
  if (!runsSystemd(layout)) return layout
  const base = delegatedGroup(instance)
  const folder = `${layout.unified}${base}`
  if (!existsSync(folder)) await askFor(instance, folder)
  return readCgroups({ base })
}

/** Gives the group back. No container may be in it: stopping a unit kills what is. */
export async function closeCgroups(layout: CgroupLayout, instance: string): Promise<void> {
  if (layout.base !== '') await call('systemctl', ['stop', unitOf(instance)])
}

/** The group is not there. Throws unavailable. */
export async function askFor(instance: string, folder: string, by: Call = call): Promise<void> {
  // When somebody has killed the keeper its group went along, and with it nothing: with a container in it, it would be
  // there. The unit still stands in the way of another of its name.
  await by('systemctl', ['stop', unitOf(instance)]).catch(() => undefined)
  try {
    await by('systemd-run', unitArguments(instance, folder))
  } catch (cause) {
    throw new DewarError(
      'unavailable',
      `Asking systemd for the control group ${delegatedGroup(instance)} failed: ${complaintOf(cause)}`,
      { cause, remedy: `see systemctl status ${unitOf(instance)}` },
    )
  }
}

/**
 * systemd removes the group of a unit without a process, and v2 allows none in a group that hands controllers on: so one
 * sleeps in a group of its own below. "0" is whoever writes.
 */
const KEEPER = 'mkdir keeper && echo 0 >keeper/cgroup.procs && { sleep infinity & }'

/** For systemd-run(1). */
export function unitArguments(instance: string, folder: string): string[] {
  const properties = [
    'Delegate=yes',
    `WorkingDirectory=${folder}`,
    // Started when the shell ends: its child is where it must be by then.
    'Type=forking',
    // The end of that child is not the end of the containers.
    'RemainAfterExit=yes',
    // Any number of tasks is Docker's default, a share of the machine's is systemd's.
    'TasksMax=infinity',
    // One container out of memory is no reason to stop the others.
    'OOMPolicy=continue',
    // At shutdown, as docker stop waits.
    'TimeoutStopSec=10s',
    'CollectMode=inactive-or-failed',
  ]
  return [
    ...['--quiet', '--slice=dewar.slice', `--unit=${unitOf(instance)}`],
    `--description=Containers of the Dewar engine ${instance}`,
    ...properties.map((property) => `--property=${property}`),
    ...['sh', '-c', KEEPER],
  ]
}

/** systemd-run's own words, else those of starting it. */
function complaintOf(error: unknown): string {
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  if (error instanceof Error && 'killed' in error && error.killed === true)
    return `it did not answer within ${PATIENCE / 1000} s`
  return said || (error instanceof Error ? error.message : String(error))
}
