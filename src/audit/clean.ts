/** Removes what a journal says was planted: at the end of a run, and for runs that were killed. */
import { existsSync, rmSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../base/errors.ts'
import { connect, isNotFound } from '../client/connect.ts'
import { hostCommand } from './host-command.ts'
import { deadRuns, startOf } from './journal.ts'
import type { Planted } from './journal.ts'
import { removeBundle } from './targets/oci-runtime.ts'

/** Cleans up after runs that were killed; gives what could not be removed, each with its remedy. */
export async function cleanDeadRuns(folder?: string): Promise<readonly string[]> {
  const leftovers: string[] = []
  for (const dead of deadRuns(folder)) {
    const failed = await removeAll(dead.left)
    leftovers.push(...failed)
    if (failed.length === 0) dead.forget()
  }
  return leftovers
}

/** Last planted first. */
export async function removeAll(planted: readonly Planted[]): Promise<readonly string[]> {
  const leftovers: string[] = []
  for (const one of planted) {
    try {
      await removeOne(one)
    } catch (error) {
      leftovers.push(`${nameOf(one)} is still there: ${messageOf(error)} (remove it by hand)`)
    }
  }
  return leftovers
}

async function removeOne(planted: Planted): Promise<void> {
  switch (planted.kind) {
    case 'container':
    case 'network':
    case 'volume':
    case 'image':
      return removeFromEngine(planted)
    case 'bundle':
      return removeBundle(planted.argv, planted.name)
    case 'folder':
    case 'file':
      return rmSync(planted.path, { recursive: true, force: true })
    case 'mount':
      return void (await hostCommand(['umount', '-l', planted.path]))
    case 'loop':
      return void (await hostCommand(['losetup', '-d', planted.path]))
    case 'cgroup':
      return rmdir(planted.path).catch(() => undefined)
    case 'process':
      if (startOf(planted.pid) === planted.start) process.kill(planted.pid, 'SIGKILL')
  }
}

type OnEngine = Extract<Planted, { readonly socket: string }>

async function removeFromEngine(planted: OnEngine): Promise<void> {
  // An engine whose whole run folder is gone took its containers along, or nobody can reach them any more.
  if (!existsSync(dirname(planted.socket))) return
  await using client = await connect({ socket: planted.socket })
  const { name } = planted
  const gone = {
    container: () => client.containers.remove(name, { force: true, volumes: true }),
    network: () => client.networks.remove(name),
    volume: () => client.volumes.remove(name),
    image: async () => void (await client.images.remove(name, { force: true })),
  }
  const remove = (): Promise<void> =>
    gone[planted.kind]().catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
  for (let tries = 0; tries < 40; tries += 1) {
    const busy = await remove().then(
      () => false,
      (error: unknown) => {
        // The removal that a probe began goes on: it is over when nothing is found any more.
        if (/already in progress/.test(messageOf(error))) return true
        throw error
      },
    )
    if (!busy) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  await remove()
}

function nameOf(planted: Planted): string {
  // With the engine: the run that left it may have been another's, on an engine that this one's user does not think of.
  if ('socket' in planted) return `${planted.kind} ${planted.name} at ${planted.socket}`
  if ('name' in planted) return `${planted.kind} ${planted.name}`
  return 'path' in planted ? `${planted.kind} ${planted.path}` : `process ${planted.pid}`
}
