import { missing } from '../harness/requirement.ts'
import { composeBuild } from './compose-build.ts'
import { composeProject } from './compose-project.ts'
import { composeScenario } from './compose-scenario.ts'
import { onBothSides } from './on-both-sides.ts'

const skip = missing('docker', 'docker-compose', 'docker-registry', 'skopeo', 'redis-server')

onBothSides('docker-compose v1 serves a project', { skip, old: true }, async (t, server) => {
  await composeScenario(t, await composeProject(server, ['docker-compose'], 'shop'))
  await composeBuild(t, server, ['docker-compose'])
})
