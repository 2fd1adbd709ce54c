/** Whose processes are taken for a container's: what is read and judged of it must be nobody else's. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openJournal } from '../../src/audit/journal.ts'
import { dockerTarget } from '../../src/audit/targets/docker-api.ts'
import { connect } from '../../src/client/connect.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startSide } from '../harness/start-side.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const needs = missing('dockerd', 'docker', 'docker-registry', 'skopeo', 'busybox')

for (const kind of ['dewar', 'dockerd'] as const)
  test(
    `${kind}: a container's processes are its own and its shim, not its neighbour's`,
    { skip: needs },
    async () => {
      const scope = new Scope()
      await using _end = { [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose]() }
      const { path } = scope.use(await tempFolder('pids'))
      const { server } = await startSide(kind, scope)
      const client = await connect({ socket: server.socket })
      await using target = await dockerTarget({
        ...{ client, socket: server.socket, name: kind, level: '', runArguments: [], runBody: {} },
        ...{
          kind: kind === 'dewar' ? 'dewar' : 'docker',
          journal: openJournal('pids', join(path, 'journal')),
        },
        program: readFileSync(join(PROJECT, 'native/build/dewar-probe')),
      })
      await using one = await target.create()
      await using other = await target.create()
      const [pids, theirs] = [await one.pids(), await other.pids()]
      const names = pids.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim())
      assert.ok(pids.includes(one.pid) && theirs.includes(other.pid))
      assert.deepEqual(
        pids.filter((pid) => theirs.includes(pid)),
        [],
        names.join(),
      )
      assert.equal(names.filter((name) => name.includes('shim')).length, 1, names.join())
    },
  )
