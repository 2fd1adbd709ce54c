/** Volumes with driver options: mounted while a container that runs has them. The host's mounts are the truth. */
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { DewarError, messageOf } from '../base/errors.ts'
import { parseMountinfo } from '../base/mountinfo.ts'
import type { Core } from '../kernel/core-api.ts'
import { requireAnswers } from './answering.ts'
import { Mutexes } from './mutex.ts'
import {
  addressName,
  isBind,
  volumeMountSteps,
  volumeUnmountSteps,
  type VolumeDriverOptions,
} from './volume-options.ts'

export class VolumeMounts {
  readonly #core: Core
  /** Looking and mounting are one step: two containers that start together share one mount. By mountpoint. */
  readonly #locks = new Mutexes()

  constructor(core: Core) {
    this.#core = core
  }

  /** Mounts it unless it is there. Throws `system` with dockerd's words. */
  async mount(name: string, path: string, options: VolumeDriverOptions): Promise<void> {
    const { device } = options
    // Who hangs on the way there is not to be seen: it has the lock.
    if (isBind(options) && device !== undefined) await requireAnswers([device])
    await this.#locks.run(path, async () => {
      if (await isMounted(path)) return
      try {
        const host = addressName(options)
        const address = host === undefined ? undefined : (await lookup(host)).address
        await this.#core.run({ steps: volumeMountSteps(path, options, address) })
      } catch (cause) {
        // Not the options: a password may be among them.
        const why = messageOf(cause).replaceAll(/password=[^,\s"]*/g, 'password=********')
        throw new DewarError(
          'system',
          `error while mounting volume '${path}': failed to mount local volume: mount ${options['device'] ?? ''}:${path}: ${why}`,
          { cause, remedy: `the options of volume ${name} say what is mounted` },
        )
      }
    })
  }

  /** Unmounts it when it is there and `wanted` says that nobody needs it. */
  async release(path: string, wanted: () => boolean): Promise<void> {
    await this.#locks.run(path, async () => {
      if (wanted() || !(await isMounted(path))) return
      await this.#core.run({ steps: volumeUnmountSteps(path) })
    })
  }
}

async function isMounted(path: string): Promise<boolean> {
  return parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8')).some((mount) => mount.path === path)
}
