import { fileURLToPath } from 'node:url'
import { missing } from '../harness/requirement.ts'
import { onBothSides } from './on-both-sides.ts'
import { runScenario } from './run-scenario.ts'

const skip = missing('dockerd', 'docker-registry', 'skopeo', 'redis-server')

onBothSides('testcontainers', { skip }, async (_, server) => {
  const script = fileURLToPath(new URL('./testcontainers-scenario.js', import.meta.url))
  await runScenario(server, [process.execPath, '--test-reporter=tap', script], 11)
})
