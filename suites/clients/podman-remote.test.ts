/** `podman --remote` speaks an API of its own. What it gets from Dewar is a plain refusal; with its own service it works. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { command } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { missing } from '../harness/requirement.ts'
import { startEngine } from '../harness/start-engine.ts'
import { startPodman } from '../harness/start-podman.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const skip = missing('podman', 'runc', 'ip', 'nsenter')

test(
  'podman --remote is refused with 501 and the reason, whatever it asks; its own service answers',
  { skip },
  async () => {
    await using folder = await tempFolder('podman-remote')
    await using network = await networkNamespace(join(folder.path, 'host.log'))
    const remote = (socket: string, ...words: readonly string[]) =>
      command([...network.enter, 'podman', '--remote', '--url', `unix://${socket}`, ...words])
    await using podman = await startPodman(join(folder.path, 'podman'), network)
    assert.equal((await remote(podman.socket, 'ps')).code, 0, 'the control: it works where libpod is spoken')
    await using engine = await startEngine({
      folder: join(folder.path, 'dewar'),
      network,
      bridge: 'dwtpr0',
      subnet: '172.30.7.0/24',
    })
    for (const words of [['version'], ['ps'], ['run', '--rm', 'busybox', 'true'], ['network', 'ls']]) {
      const { code, stderr } = await remote(engine.socket, ...words)
      assert.notEqual(code, 0)
      assert.match(stderr, /ping response was 501/)
    }
    for (const path of ['/libpod/_ping', '/v4.3.1/libpod/containers/json', '/v1.41/libpod/info?x=1']) {
      const answer = await engine.api('GET', path)
      assert.equal(answer.status, 501, path)
      assert.match(answer.text, /libpod.*DOCKER_HOST/)
    }
    // A container may have that name all the same.
    assert.equal((await engine.api('GET', '/containers/libpod/json')).status, 404)
  },
)
