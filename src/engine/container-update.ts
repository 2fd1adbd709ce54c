/** `update`: other limits and another restart policy for a container, running or not. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { DewarError, messageOf } from '../base/errors.ts'
import { checkResources, updateWrites } from '../kernel/cgroup.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import type { Step } from '../kernel/plan.ts'
import type { Container, Running } from './container.ts'
import { cgroupsPath } from './launch.ts'
import { hasEnded } from './meanwhile.ts'
import { eventAttributes, type Services } from './services.ts'
import { NO_BLOCK_DEVICES, resources } from './spec-resources.ts'
import type { HostConfig } from './types.ts'
import { validateResources, validateRestart } from './validate.ts'

export function updateContainer(
  services: Services,
  container: Container,
  change: Partial<HostConfig>,
): Promise<{ warnings: readonly string[] }> {
  const { facts, cgroups, bus, containers } = services
  return container.lock.run(async () => {
    // A removal that held the lock has taken it away.
    if (containers.byId(container.id) !== container)
      throw new DewarError('not-found', `No such container: ${container.id}`)
    const before = container.record.hostConfig
    const hostConfig: HostConfig = { ...before, ...change }
    checkSettled(before, change)
    validateResources(hostConfig, facts)
    validateRestart(hostConfig)
    const limits = {
      ...resources(hostConfig, [], NO_BLOCK_DEVICES),
      // A group that is made has no limit; one that has one must be told that it is gone.
      ...((change.pidsLimit ?? 1) <= 0 ? { pids: { limit: -1 } } : {}),
    }
    const { warnings } = checkResources(cgroups, limits)
    const { running } = container
    if (running === undefined) await container.update({ hostConfig })
    else {
      refuseFirstCpuset(services, container, change)
      const writes = updateWrites(cgroups, cgroupsPath(services, container.record), limits)
      await recordThenWrite(services, { container, running }, hostConfig, writes)
    }
    bus.emit('container', 'update', container.id, eventAttributes(container))
    return { warnings }
  })
}

/** The record first: on a full disk nothing has changed then. */
async function recordThenWrite(
  { core, warn }: Services,
  { container, running }: { readonly container: Container; readonly running: Running },
  hostConfig: HostConfig,
  writes: readonly Step[],
): Promise<void> {
  const before = container.record.hostConfig
  const old = await oldValues(writes)
  await container.update({ hostConfig })
  try {
    await core.run({ steps: writes })
  } catch (error) {
    // Its groups went with it: the limits are for the next start.
    if (hasEnded(container, running)) return
    await core.run({ steps: old }).catch(() => undefined)
    if (hasEnded(container, running)) return
    // Memory that it took meanwhile may keep a limit from going down again.
    if (!isDeepStrictEqual(await oldValues(writes), old))
      warn(`Putting back the limits of container ${container.name} failed: update it again`)
    await container.remember({ hostConfig: before }, warn)
    throw refusal(container.id, hostConfig, error)
  }
}

/**
 * What the kernel has, also where the record has no limit, written back from the last to the first: of two that it holds
 * against each other one is written both before and after the other, so that works from either side.
 */
async function oldValues(writes: readonly Step[]): Promise<Step[]> {
  const old = writes.map(async (step): Promise<Step[]> => {
    if (step.op !== 'write') return []
    const text = await readFile(step.path, 'utf8').catch(() => undefined)
    if (text === undefined) return []
    // Some files tell more than is written to them. An empty line gives back v2's cpuset what it has from above.
    const [first = ''] = text.split('\n')
    return [{ ...step, data: `${first.replace(/^oom_kill_disable /, '')}\n`, optional: true }]
  })
  return (await Promise.all(old)).flat().toReversed()
}

/** In dockerd's words: on cgroup v1 the kernel takes no memory limit below what is in use and cannot be given back. */
function refusal(id: string, { memory }: HostConfig, cause: unknown): DewarError {
  const what = `Cannot update container ${id}`
  if (!(cause instanceof PlanFailed) || cause.errno !== 'EBUSY' || !/limit_in_bytes$/.test(cause.path))
    return new DewarError('system', `${what}: ${messageOf(cause)}`, { cause })
  const used = usedBy(dirname(cause.path))
  return new DewarError(
    'system',
    `${what}: unable to set memory limit to ${memory} (current usage: ${used})`,
    {
      cause,
      remedy: 'a limit must have room for what is in use: ask for more, or stop something in the container',
    },
  )
}

/** What contradicts a value that stays, in dockerd's words. */
function checkSettled(before: HostConfig, change: Partial<HostConfig>): void {
  const { memory = before.memory, memorySwap, nanoCpus = 0, cpuPeriod = 0, cpuQuota = 0 } = change
  if (before.memorySwap > 0 && memory > before.memorySwap && !memorySwap) {
    throw new DewarError(
      'invalid-argument',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    )
  }
  if (before.autoRemove && !['', 'no'].includes(change.restartPolicy?.name ?? '')) {
    throw new DewarError(
      'invalid-argument',
      'Restart policy cannot be updated because AutoRemove is enabled for the container',
    )
  }
  const already = (asked: string, set: string): never => {
    throw new DewarError(
      'conflict',
      `Conflicting options: ${asked} cannot be updated as ${set} has already been set`,
    )
  }
  if (nanoCpus > 0 && before.cpuPeriod > 0) already('Nano CPUs', 'CPU Period')
  if (nanoCpus > 0 && before.cpuQuota > 0) already('Nano CPUs', 'CPU Quota')
  if (cpuPeriod > 0 && before.nanoCpus > 0) already('CPU Period', 'NanoCPUs')
  if (cpuQuota > 0 && before.nanoCpus > 0) already('CPU Quota', 'NanoCPUs')
}

/**
 * On cgroup v1 a container gets a group in the cpuset tree only when it wants one at its start, because that tree's
 * files must be written before a process can join. One that runs without has nothing that could be written to.
 */
function refuseFirstCpuset(
  { cgroups }: Services,
  { record: { hostConfig } }: Container,
  { cpusetCpus = '', cpusetMems = '' }: Partial<HostConfig>,
): void {
  const asked = cpusetCpus !== '' || cpusetMems !== ''
  const has = hostConfig.cpusetCpus !== '' || hostConfig.cpusetMems !== ''
  if (!asked || has || !cgroups.controllers.has('cpuset')) return
  throw new DewarError(
    'conflict',
    'Cannot update the CPU set: the container was started without one, and on cgroup v1 it cannot get one while it runs',
    { remedy: 'stop it, update it and start it, or start it with --cpuset-cpus' },
  )
}

/** It may have ended meanwhile, and its group with it. */
function usedBy(group: string): string {
  try {
    return readFileSync(join(group, 'memory.usage_in_bytes'), 'utf8').trim()
  } catch {
    return 'unknown'
  }
}
