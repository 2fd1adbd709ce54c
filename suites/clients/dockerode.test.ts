import { fileURLToPath } from 'node:url'
import { missing } from '../harness/requirement.ts'
import { onBothSides } from './on-both-sides.ts'
import { runScenario } from './run-scenario.ts'

const skip = missing('dockerd', 'docker-registry', 'skopeo')

onBothSides('dockerode', { skip }, async (_, server) => {
  const script = fileURLToPath(new URL('./dockerode-scenario.js', import.meta.url))
  await runScenario(server, [process.execPath, '--test-reporter=tap', script], 17)
})
