import { missing } from '../harness/requirement.ts'
import { trixie } from '../harness/trixie.ts'
import { composeBuild } from './compose-build.ts'
import { composeProject } from './compose-project.ts'
import { composeScenario } from './compose-scenario.ts'
import { onBothSides } from './on-both-sides.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'redis-server')

onBothSides('docker compose v2 serves a project', { skip }, async (t, server) => {
  const programs = await trixie()
  if (typeof programs === 'string') return t.skip(programs)
  await composeScenario(t, await composeProject(server, [programs.compose], 'shop'))
  await composeBuild(t, server, [programs.compose])
})
