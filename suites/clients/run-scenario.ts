import assert from 'node:assert/strict'
import { describe } from '../harness/command.ts'
import type { Server } from '../harness/server.ts'
import { REGISTRY } from './client-side.ts'

/**
 * Runs a scenario as a program beside the server, since clients read DOCKER_HOST when they are loaded and reach published
 * ports on the loopback of the server's network. `steps`: how many it has, so that one that ends early is no success.
 */
export async function runScenario(
  server: Server,
  argv: readonly string[],
  steps: number,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<void> {
  const result = await server.run(argv, {
    // For what hangs; a slow machine takes two minutes.
    timeout: 600_000,
    env: {
      REGISTRY,
      NODE_TEST_CONTEXT: undefined,
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      HOME: server.folder,
      PYTHONDONTWRITEBYTECODE: '1',
      ...env,
    },
  })
  assert.equal(result.code, 0, describe(argv, result))
  const passed = /^# pass (\d+)$/m.exec(result.stdout)?.[1] ?? /^Ran (\d+) tests?/m.exec(result.stderr)?.[1]
  assert.equal(Number(passed), steps, describe(argv, result))
}
