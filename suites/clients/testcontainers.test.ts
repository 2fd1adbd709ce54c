import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { REGISTRY } from './client-side.ts'
import { onBothSides } from './on-both-sides.ts'
import { runScenario } from './run-scenario.ts'

const skip = missing('dockerd', 'docker-registry', 'skopeo', 'redis-server', 'curl')
const scenario = (name: string): readonly string[] => [
  process.execPath,
  '--test-reporter=tap',
  fileURLToPath(new URL(`./${name}.js`, import.meta.url)),
]

onBothSides('testcontainers', { skip }, async (_, server) => {
  await runScenario(server, scenario('testcontainers-scenario'), 11)
})

// It has the engine's socket mounted, and removes by it what a test left.
onBothSides('testcontainers: its reaper', { skip }, async (_, server) => {
  await runScenario(server, scenario('testcontainers-reaper-scenario'), 1, {
    TESTCONTAINERS_RYUK_DISABLED: undefined,
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: server.socket,
    TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT: '1s',
    RYUK_CONTAINER_IMAGE: `${REGISTRY}/reaper:latest`,
  })
  await until('nothing to be left of the session', async () => {
    const containers = await server.docker('ps', '-aq')
    const networks = await server.docker('network', 'ls', '-q', '--filter', 'type=custom')
    return `${containers}${networks}` === ''
  })
  assert.match(await server.docker('images'), /reaper/)
})
