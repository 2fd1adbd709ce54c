/**
 * The engine's socket mounted into a container, as CI runners, testcontainers, proxies and management pages want it: with a
 * user namespace of its own, too, its root and its group may use it, and nobody else. Who may is root of the host.
 */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { missing } from '../harness/requirement.ts'
import type { Server } from '../harness/server.ts'
import { REGISTRY } from './client-side.ts'
import { onBothSides } from './on-both-sides.ts'

const skip = missing('dockerd', 'docker-registry', 'skopeo', 'redis-server', 'curl')
const IMAGE = `${REGISTRY}/reaper:latest`
const LIST = 'curl -sS --unix-socket /var/run/docker.sock http://engine/containers/json'

onBothSides('a mounted socket', { skip }, async (_, server) => {
  await server.docker('pull', '-q', IMAGE)
  // dockerd lists a container as running some time after its process runs.
  const seen = `for i in $(seq 60); do list=$(${LIST}); case $list in *reaper*) break;; esac; sleep 1; done; echo "$list"`
  const own = await within(server, seen)
  assert.match(own.stdout, /"Image":"127\.0\.0\.1:5000\/reaper:latest"/, 'the container sees itself')

  const stranger = await within(server, LIST, '--user', '1000:1000')
  assert.notEqual(stranger.code, 0)
  assert.equal(stranger.stdout, '')
  const { mode, gid } = statSync(server.socket)
  const member = await within(server, LIST, '--user', '1000:1000', '--group-add', String(gid))
  assert.equal(member.code === 0, (mode & 0o060) === 0o060, `mode ${mode.toString(8)}, group ${gid}`)

  await writeFile(join(server.folder, 'secret'), 'of the host', { mode: 0o600 })
  const body = JSON.stringify({
    Image: IMAGE,
    Cmd: ['cat', '/host/secret'],
    HostConfig: { Binds: [`${server.folder}:/host`], NetworkMode: 'none' },
  })
  const sibling = [
    'ask() { curl -sS --unix-socket /var/run/docker.sock -X POST -H "Content-Type: application/json" "$@"; }',
    `id=$(ask -d '${body}' http://engine/containers/create | cut -d '"' -f 4)`,
    'ask http://engine/containers/$id/start && ask http://engine/containers/$id/wait >/dev/null',
    'curl -sS --unix-socket /var/run/docker.sock "http://engine/containers/$id/logs?stdout=1"',
  ]
  const { stdout } = await within(server, sibling.join('\n'))
  assert.match(stdout, /of the host/, 'whoever has the socket is root of the host')
})

function within(server: Server, script: string, ...more: readonly string[]) {
  const mount = `${server.socket}:/var/run/docker.sock`
  const command = [
    'docker',
    'run',
    '--rm',
    '--network',
    'none',
    '-v',
    mount,
    ...more,
    IMAGE,
    'sh',
    '-c',
    script,
  ]
  return server.run(command)
}
