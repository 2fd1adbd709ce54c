import { setTimeout as sleep } from 'node:timers/promises'

/** Waits till `condition` gives something truthy and returns it; throws naming `what` after `timeout` ms. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeout = 90_000,
  interval = 25,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeout
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`waiting for ${what}: not so within ${timeout} ms`)
    await sleep(interval)
  }
}
