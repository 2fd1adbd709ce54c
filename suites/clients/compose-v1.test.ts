import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { missing } from '../harness/requirement.ts'
import type { Server } from '../harness/server.ts'
import { composeBuild } from './compose-build.ts'
import { composeProject } from './compose-project.ts'
import { composeScenario } from './compose-scenario.ts'
import { onBothSides } from './on-both-sides.ts'

const skip = missing('docker', 'docker-compose', 'docker-registry', 'skopeo', 'redis-server')

onBothSides('docker-compose v1 serves a project', { skip, old: true }, async (t, server) => {
  await composeScenario(t, await composeProject(server, ['docker-compose'], 'shop'))
  await composeBuild(t, server, ['docker-compose'])
  if (server.name === 'dewar') await ownAttach(t, server)
})

/** By dockerpty instead of the docker command: dockerd loses what is printed before it attaches. */
async function ownAttach(t: TestContext, server: Server): Promise<void> {
  const program = ['env', 'COMPOSE_INTERACTIVE_NO_CLI=1', 'docker-compose']
  const compose = await composeProject(server, program, 'own')
  await t.test('run that attaches by itself, after the start, loses no output', async () => {
    for (let time = 0; time < 3; time += 1)
      assert.match(await compose.run('run', '--rm', '-T', '--no-deps', 'job'), /^read from the host$/m)
    await compose.run('down', '-v')
  })
}
