import { DewarError } from '../../base/errors.ts'
import { CHILD_SLOT } from '../../kernel/encode-action.ts'
import type { Slot } from '../../kernel/plan.ts'

/** The last one holds a pidfd of the container's first process in exec plans (native/plan.h INIT_SLOT). */
export const INIT_SLOT: Slot = 255

/** Hands out the numbers under which descriptors wait between steps. */
export class Slots {
  #next: Slot

  constructor(first: Slot = 0) {
    this.#next = first
  }

  take(count = 1): Slot {
    const slot = this.#next
    this.#next += count
    if (this.#next <= CHILD_SLOT) return slot
    throw new DewarError(
      'invalid-argument',
      'Planning the container failed: more than 254 layers and mounts together',
      {
        remedy: 'use an image with fewer layers or fewer mounts',
      },
    )
  }
}
