import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openGuest } from './guest.ts'
import { insideId, joinContainer } from './join.ts'
import { processOfChild } from './guest-process.ts'

const PROGRAM = join(projectOf(dirname(fileURLToPath(import.meta.url))), 'native', 'build', 'dewar-probe')
const skip = process.getuid?.() === 0 ? false : 'needs root: run `sudo npm test`'

function projectOf(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : projectOf(dirname(folder))
}

test(
  'joinContainer serves in the namespaces, with the user and capabilities of the process',
  { skip },
  async () => {
    const argv = [
      '--user',
      '--map-root-user',
      '--pid',
      '--fork',
      '--mount-proc',
      '--net',
      '--uts',
      '--kill-child',
    ]
    const container = spawn('unshare', [
      ...argv,
      'setpriv',
      '--bounding-set=-all,+chown',
      PROGRAM,
      'audit-guest',
    ])
    await using first = await openGuest(processOfChild(container))
    const children = `/proc/${container.pid}/task/${container.pid}/children`
    const pid = Number(readFileSync(children, 'utf8').trim())
    await using joined = await openGuest(await joinContainer(pid, PROGRAM))
    for (const kind of ['user', 'pid', 'mnt', 'net', 'uts'])
      assert.equal(
        await joined.readLink(`/proc/self/ns/${kind}`),
        await first.readLink(`/proc/self/ns/${kind}`),
        kind,
      )
    const status = (await joined.readFile('/proc/self/status')).toString()
    assert.match(status, /^CapEff:\t0000000000000001$/m)
    assert.match(status, /^CapBnd:\t0000000000000001$/m)
    assert.match(status, /^Uid:\t0\t0\t0\t0$/m)
    assert.match(await joined.readLink('/proc/self/exe'), /^\/memfd:dewar-probe/)
    assert.ok(joined.pid > 1)
  },
)

test('joinContainer says that a container does not run', { skip }, async () => {
  await assert.rejects(joinContainer(0x7fffffff, PROGRAM), /does not run/)
})

test('insideId gives the id that the container’s own map makes of the host’s', () => {
  assert.equal(insideId('Uid:\t5\t100007\t5\t5\n', 'uid', '0 100000 65536\n'), '7')
  assert.equal(insideId('Gid:\t0\t0\t0\t0\n', 'gid', '0 0 4294967295\n'), '0')
})
