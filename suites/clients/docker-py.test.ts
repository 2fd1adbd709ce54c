import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { onBothSides } from './on-both-sides.ts'
import { runScenario } from './run-scenario.ts'

const MODULE = '/usr/lib/python3/dist-packages/docker/__init__.py'
const absent = existsSync(MODULE)
  ? false
  : 'needs python3-docker: install it (npm test does where apt is there)'
const skip = missing('dockerd', 'docker-registry', 'skopeo') || absent

onBothSides('docker-py', { skip }, async (_, server) => {
  const script = join(PROJECT, 'suites', 'clients', 'docker_py_scenario.py')
  // Not the first python3 of PATH, which need not be Debian's.
  await runScenario(server, ['/usr/bin/python3', script], 15)
})
