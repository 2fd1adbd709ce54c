import { describe, test, type TestContext } from 'node:test'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { clientSide, type ClientSideOptions } from './client-side.ts'

export interface BothSidesOptions extends ClientSideOptions {
  readonly skip: string | false
}

/**
 * One scenario on dockerd, which shows that the scenario is right, and on Dewar: same script, same expectations. Both at
 * the same time, each in a network namespace of its own, since most of it is waiting.
 */
export function onBothSides(
  title: string,
  { skip, ...side }: BothSidesOptions,
  scenario: (t: TestContext, server: Server) => Promise<void>,
): void {
  void describe(title, { concurrency: true, skip }, () => {
    for (const name of ['dockerd', 'dewar'] as const) {
      void test(`${title} on ${name}`, async (t) => {
        await using scope = new Scope()
        await scenario(t, await clientSide(name, scope, side))
      })
    }
  })
}
