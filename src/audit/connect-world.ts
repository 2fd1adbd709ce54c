import { plantWorld } from './plant-world.ts'
import type { ProbeContext } from './probe.ts'
import type { World } from './world.ts'

/** A world of the probe's own, for what ends with it. */
export function connectWorld({ create, guest }: Pick<ProbeContext, 'create' | 'guest'>): Promise<World> {
  return plantWorld(create, guest)
}
