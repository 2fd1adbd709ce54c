/**
 * What an engine does when it opens: finds out what is true, makes its records say so, and removes what nobody owns.
 * The shims are the truth about what runs; the records are the truth about what there is; the rest is debris.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile, rename, rm, unlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { errnoOf, messageOf } from '../base/errors.ts'
import { removeTree } from '../kernel/cgroup-live.ts'
import type { Exit } from '../kernel/core-api.ts'
import { exitOf } from '../kernel/shim-control.ts'
import { EXIT_FILE } from '../kernel/shim.ts'
import { guardWarning } from '../network/source-guard.ts'
import { TEMPORARY_PREFIX } from '../store/write-whole.ts'
import { Container } from './container.ts'
import { HealthMonitor } from './health.ts'
import { cgroupsPath } from './launch.ts'
import { isEnded } from './leftovers.ts'
import type { Lifecycle } from './lifecycle.ts'
import { routeAgain } from './live-networks.ts'
import { runFolder } from './options.ts'
import { readRecord, RecordFile } from './record-file.ts'
import { parseRecord } from './record.ts'
import { startsWithEngine } from './restart-policy.ts'
import type { Services } from './services.ts'
import type { Trash } from './trash.ts'

export interface Reconciler {
  readonly services: Services
  readonly lifecycle: Lifecycle
  readonly trash: Trash
}

/** Gives what a person should know: records that could not be read, and where they are kept. */
export async function reconcile(reconciler: Reconciler): Promise<string[]> {
  const { services, trash } = reconciler
  const warnings = await loadContainers(reconciler)
  const wereRunning = [...services.containers.values()].filter(
    ({ record }) => record.state.status === 'running',
  )
  await Promise.all(wereRunning.map((container) => findRunning(reconciler, container)))
  await removeStrayRuns(services)
  await removeStrayCgroups(services)
  const { guardProblem } = services.networks.known
  if (guardProblem !== undefined) services.warn(guardWarning(guardProblem))
  await services.networks.settle(runningRecords(services))
  await Promise.all([...services.containers.values()].map((container) => routeAgain(services, container)))
  await services.volumes.settle().catch((error: unknown) => warnings.push(messageOf(error)))
  await trash.empty()
  return warnings
}

/** Restart policies come last and in the background: clients need not wait for other people's containers. */
export function startWanted({ services, lifecycle }: Reconciler): void {
  for (const container of services.containers.values()) {
    const { record } = container
    if (container.live.kind !== 'idle' || record.state.status !== 'exited') continue
    const ended = {
      exitCode: record.state.exitCode,
      manuallyStopped: record.manuallyStopped,
      restartCount: record.restartCount,
      ranFor: 0,
      lastDelay: 0,
    }
    if (!startsWithEngine(record.hostConfig.restartPolicy, ended)) continue
    // A failure is in the container's own state.
    lifecycle.startWithEngine(container).catch(() => undefined)
  }
}

function runningRecords(services: Services) {
  return [...services.containers.values()]
    .filter((container) => container.running !== undefined)
    .map(({ record }) => record)
}

async function loadContainers(reconciler: Reconciler): Promise<string[]> {
  const folder = reconciler.services.settings.folders.containers
  const warnings: string[] = []
  for (const id of await readdir(folder)) {
    const path = join(folder, id)
    for (const name of await readdir(path).catch(() => [])) {
      if (name.startsWith(TEMPORARY_PREFIX)) await unlink(join(path, name))
    }
    const problem = await addContainer(reconciler, path)
    if (problem === undefined) continue
    await rename(join(path, 'record.json'), join(path, 'record.json.damaged'))
    warnings.push(
      `Container ${id} could not be read and is left out: ${problem}; its record is kept as ${path}/record.json.damaged`,
    )
  }
  return warnings
}

/** Gives what is wrong with its record. */
async function addContainer({ services, trash }: Reconciler, path: string): Promise<string | undefined> {
  try {
    const found = readRecord(path)
    if (found === undefined) {
      // A create that was cut off: nobody was told of it.
      if (!existsSync(join(path, 'record.json.damaged'))) void trash.take(path)
      return undefined
    }
    const record = parseRecord(found.value)
    if (record.id !== basename(path)) return `it says that it is ${record.id}`
    const container = new Container(record, path, new RecordFile(path, { ...found, record }))
    services.containers.add(container)
    if (record.state.status === 'exited') {
      container.health = HealthMonitor.of(services, container)
      container.health?.end()
    }
    if (record.range !== null) services.ranges.adopt(record.id, record.range)
    return undefined
  } catch (error) {
    // A disk that cannot be read is no damaged record.
    if (errnoOf(error) !== undefined) throw error
    return messageOf(error)
  }
}

/** The record says it runs: ask its shim, then the exit it may have left, then clean up after a killed one. */
async function findRunning({ services, lifecycle }: Reconciler, container: Container): Promise<void> {
  const run = runFolder(services.settings, container.id)
  const shim = await services.core.reconnect(run)
  if (shim !== undefined) {
    services.networks.adopt(container.record)
    lifecycle.adopt(container, shim)
    await lifecycle.stopping
      .settlePause(container)
      .catch((error: unknown) =>
        services.warn(
          `Finding out whether container ${container.name} is paused failed: ${messageOf(error)}`,
        ),
      )
    container.health?.begin()
    // Without names it runs as it did while there was no engine.
    await services.networks.names
      .open(container.id, shim)
      .catch((error: unknown) =>
        services.warn(`Serving names to container ${container.name} failed: ${messageOf(error)}`),
      )
    return
  }
  const exit = await readExit(run)
  // The engine was killed between its record and the shim: the start never happened.
  const neverStarted = exit === undefined && !existsSync(join(run, 'shim.sock'))
  if (!neverStarted) await lifecycle.foundEnded(container, exit)
  else await lifecycle.neverStarted(container)
}

async function readExit(run: string): Promise<Exit | undefined> {
  try {
    return exitOf(await readFile(join(run, EXIT_FILE)))
  } catch {
    return undefined
  }
}

/**
 * Run folders of containers that do not run any more, or are not ours to know. The shim's note of an exit that a full
 * disk kept from our own record stays.
 */
async function removeStrayRuns(services: Services): Promise<void> {
  const { running } = services.settings.folders
  const wanted = new Set(
    [...services.containers.values()]
      .filter((container) => container.running !== undefined || !container.saved)
      .map(({ id }) => basename(runFolder(services.settings, id))),
  )
  for (const name of await readdir(running)) {
    if (wanted.has(name)) continue
    const shim = await services.core.reconnect(join(running, name)).catch(() => undefined)
    if (shim !== undefined) {
      await shim.signal(9).catch(() => undefined)
      await shim.exited.catch(() => undefined)
      shim.close()
    }
    await rm(join(running, name), { recursive: true, force: true })
  }
}

/** Control groups below this engine's own parent that belong to no running container. */
async function removeStrayCgroups(services: Services): Promise<void> {
  const { cgroups, settings } = services
  const parent = `/dewar-${settings.instance}`
  const wanted = new Set(runningRecords(services).map((record) => cgroupsPath(services, record)))
  const folders = [
    ...new Set(cgroups.controllers.values()),
    ...(cgroups.unified === undefined ? [] : [`${cgroups.unified}${cgroups.base}`]),
  ]
  const names = new Set<string>()
  for (const folder of folders) {
    const entries = await readdir(`${folder}${parent}`, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) if (entry.isDirectory()) names.add(entry.name)
  }
  for (const name of names) {
    const path = `${parent}/${name}`
    if (wanted.has(path)) continue
    if (await isEnded(cgroups, path)) await removeTree(cgroups, path).catch(() => undefined)
  }
}
