/** What is left to do of a run when its end has been told: its record goes to the disk, its shim lets go of the layers. */
import { setImmediate as turn } from 'node:timers/promises'
import { errnoOf, messageOf } from '../base/errors.ts'
import { removeTree } from '../kernel/cgroup.ts'
import type { Shim } from '../kernel/core-api.ts'
import type { Container } from './container.ts'
import { removeRunFolder } from './container-folder.ts'
import type { Services } from './services.ts'
import { cgroupsPath } from './launch.ts'
import { isEnded } from './leftovers.ts'
import { runFolder } from './options.ts'

export class Departures {
  readonly #services: Services
  readonly #leaving = new Map<Promise<unknown>, Shim | undefined>()

  constructor(services: Services) {
    this.#services = services
  }

  /**
   * Resolves when the end is on disk. Who waits for it need not wait for that: until our record is there, the shim's own
   * note of the exit is. The next start waits until all is done (`container.gone`).
   */
  begin(container: Container, shim: Shim | undefined): Promise<void> {
    const recorded = turn().then(() => this.record(container))
    const gone = Promise.allSettled([recorded, shim?.gone, this.#removeGroups(container)])
    container.gone = gone
    container.departing = shim
    this.#leaving.set(gone, shim)
    void gone.then(() => {
      this.#leaving.delete(gone)
      if (container.gone === gone) container.departing = undefined
    })
    return recorded
  }

  /**
   * The shim's own note of the exit goes only when ours is on disk: an engine that dies in between, or a full disk,
   * must not lose it.
   */
  async record(container: Container): Promise<void> {
    const { settings, warn } = this.#services
    if (await container.keep(warn)) removeRunFolder(runFolder(settings, container.id))
  }

  /**
   * The shim removes the groups with those that were made inside; what it could not, or did not live to, goes here. Without
   * a PID namespace of its own somebody may still live in them, with ids that others get.
   */
  async #removeGroups({ record }: Container): Promise<void> {
    const { cgroups, warn } = this.#services
    const path = cgroupsPath(this.#services, record)
    try {
      await removeTree(cgroups, path).catch(async (error: unknown) => {
        if (errnoOf(error) !== 'EBUSY') throw error
        await isEnded(cgroups, path)
        await removeTree(cgroups, path)
      })
    } catch (error) {
      warn(`Removing the control groups of container ${record.name} failed: ${messageOf(error)}`)
    }
  }

  async all(): Promise<void> {
    for (const shim of this.#leaving.values()) shim?.letGo()
    await Promise.all(this.#leaving.keys())
  }
}
