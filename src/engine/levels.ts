/** The isolation levels this machine has. */
import { DewarError } from '../base/errors.ts'
import type { Availability, Level, LevelName } from '../isolation/level.ts'
import type { HostConfig, SystemInfo } from './types.ts'
import { isLevelName, LEVELS } from './options.ts'

/** Words Docker's clients send that mean "the usual". */
const USUAL = new Set(['', 'default', 'runc', 'io.containerd.runc.v2', 'dewar'])

export class Levels {
  readonly #levels: ReadonlyMap<LevelName, Level>
  readonly #default: LevelName

  constructor(levels: readonly Level[], defaultLevel: LevelName) {
    this.#levels = new Map(levels.map((level) => [level.name, level]))
    this.#default = defaultLevel
  }

  /** `--isolation` first, then `--runtime`. A level that cannot be had is refused with the reason and the remedy. */
  async choose(host: Pick<HostConfig, 'isolation' | 'runtime'>): Promise<LevelName> {
    const name =
      this.#named(host.isolation, 'isolation') ?? this.#named(host.runtime, 'runtime') ?? this.#default
    const availability = await this.#availability(name)
    if (availability.ok) return name
    throw new DewarError(
      'invalid-argument',
      `Creating the container failed: isolation level ${name} is not available: ${availability.reason}`,
      {
        remedy: availability.remedy,
      },
    )
  }

  get(name: string): Level {
    const level = isLevelName(name) ? this.#levels.get(name) : undefined
    if (level !== undefined) return level
    throw new DewarError(
      'unavailable',
      `The isolation level ${name} of this container is not available any more`,
    )
  }

  async info(): Promise<SystemInfo['levels']> {
    return Promise.all(
      LEVELS.map(async (name) => {
        const availability = await this.#availability(name)
        return {
          name,
          available: availability.ok,
          ...(availability.ok ? {} : { reason: availability.reason }),
        }
      }),
    )
  }

  #named(text: string | undefined, option: 'isolation' | 'runtime'): LevelName | undefined {
    if (text === undefined || USUAL.has(text)) return undefined
    if (isLevelName(text)) return text
    const known = LEVELS.join(', ')
    if (option === 'runtime')
      throw new DewarError('invalid-argument', `unknown or invalid runtime name: ${text}`, {
        remedy: `use one of ${known}`,
      })
    throw new DewarError('invalid-argument', `invalid isolation: ${text}`, { remedy: `use one of ${known}` })
  }

  async #availability(name: LevelName): Promise<Availability> {
    const level = this.#levels.get(name)
    if (level !== undefined) return level.available()
    return {
      ok: false,
      reason: 'this version of Dewar does not have it yet',
      remedy: 'use --isolation=namespaces',
    }
  }
}
