/** The default bridge has IPv6 where the host has it: published ports lead to the container by the host's IPv6 address. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { networkNamespace, type NetworkNamespace } from '../harness/network-namespace.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { startRegistry } from '../harness/registry.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { copyTestImages } from '../harness/test-images.ts'
import { until } from '../harness/until.ts'
import { busyboxTar } from './fixture.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'curl', 'busybox', 'tar', 'ip', 'nsenter')
const SERVE = ['busybox', 'sh', '-c', 'while :; do echo hello | nc -l -p 80; done']

const ip = (namespace: NetworkNamespace, line: string): Promise<unknown> =>
  command([...namespace.enter, 'ip', ...line.split(' ')], { check: true })

/** Two machines with a wire between them; the second has no way to the containers but by the first's addresses. */
async function machines(
  scope: Scope,
  folder: string,
): Promise<readonly [NetworkNamespace, NetworkNamespace]> {
  const host = scope.use(await networkNamespace(join(folder, 'host.log')))
  const outside = scope.use(await networkNamespace(join(folder, 'outside.log')))
  const pid = /\d+/.exec(outside.enter.join(' '))?.[0] ?? ''
  await ip(host, `link add uplink type veth peer name uplink netns ${pid}`)
  for (const [namespace, n] of [
    [host, 1],
    [outside, 2],
  ] as const) {
    await ip(namespace, `addr add 203.0.113.${n}/24 dev uplink`)
    await ip(namespace, `addr add fd00:113::${n}/64 dev uplink nodad`)
    await ip(namespace, 'link set uplink up')
  }
  return [host, outside]
}

describe('a port published on a host with IPv6', { skip }, () => {
  const scope = new Scope()
  let outside: NetworkNamespace
  let host: NetworkNamespace
  let server: Server
  let site = ''
  let hasNginx = false

  before(async () => {
    const { path: folder } = scope.use(await tempFolder('ipv6'))
    ;[host, outside] = await machines(scope, folder)
    server = scope.use(
      await startEngine({ folder, network: host, bridge: 'dwtsix0', subnet: '10.206.1.0/24' }),
    )
    scope.defer(() => removeAllContainers(server))
    site = join(folder, 'site')
    const { storage, nginx } = await copyTestImages(folder)
    hasNginx = nginx
    scope.use(await startRegistry({ storage, folder, port: 5000, network: host }))
    await writeFile(join(folder, 'busybox.tar'), await busyboxTar())
    await server.docker('import', '-c', 'ENV PATH=/bin', join(folder, 'busybox.tar'), 'busybox')
  })
  after(async () => scope[Symbol.asyncDispose]())

  const page = async (from: NetworkNamespace, address: string, port: string): Promise<string> =>
    (await command([...from.enter, 'busybox', 'nc', '-w', '2', address, port])).stdout

  test('is shown for both families and reached through both, from outside and on the host', async () => {
    await server.docker('run', '-d', '--name', 'web', '-p', '8080:80', ...SERVE)
    assert.equal(await server.docker('port', 'web', '80'), '0.0.0.0:8080\n[::]:8080')
    assert.equal(
      await server.docker('ps', '--format', '{{.Ports}}'),
      '0.0.0.0:8080->80/tcp, [::]:8080->80/tcp',
    )
    for (const [from, address] of [
      [outside, '203.0.113.1'],
      [outside, 'fd00:113::1'],
      [host, 'fd00:113::1'],
    ] as const)
      await until(`an answer from ${address}`, async () => (await page(from, address, '8080')) === 'hello\n')
    await server.docker('rm', '-f', 'web')
    assert.equal(await page(outside, 'fd00:113::1', '8080'), '')
  })

  test('shows nginx the address of who asks, by both families', async (t) => {
    if (!hasNginx) return t.skip('no nginx image: it needs mmdebstrap and a Debian mirror')
    await writeFile(site, 'server { listen 80; listen [::]:80; return 200 "$remote_addr\\n"; }\n')
    const mount = `${site}:/etc/nginx/sites-enabled/default:ro`
    await server.docker('run', '-d', '--name', 'nginx', '-p', '8083:80', '-v', mount, '127.0.0.1:5000/nginx')
    const ask = async (from: NetworkNamespace, address: string): Promise<string> =>
      (await command([...from.enter, 'curl', '-s', '-m', '10', `http://${address}:8083/`])).stdout.trim()
    await until('nginx', async () => (await ask(outside, '203.0.113.1')) !== '', 60_000)
    assert.equal(await ask(outside, '203.0.113.1'), '203.0.113.2')
    assert.equal(await ask(outside, '[fd00:113::1]'), 'fd00:113::2')
    assert.equal(await ask(host, '203.0.113.1'), '203.0.113.1')
    assert.equal(await ask(host, '[fd00:113::1]'), 'fd00:113::1')
    assert.match(
      await server.docker('exec', 'nginx', 'cat', '/var/log/nginx/access.log'),
      /^fd00:113::2 - - /m,
    )
    await server.docker('rm', '-f', 'nginx')
  })

  test('that is free has one number in both families', async () => {
    await server.docker('run', '-d', '--name', 'any', '-p', '80', ...SERVE)
    const [four, six] = (await server.docker('port', 'any', '80')).split('\n')
    assert.equal(six, `[::]:${four?.split(':')[1]}`)
    await server.docker('rm', '-f', 'any')
  })

  test('gives the container an IPv6 way out, and its name the IPv4 address alone', async () => {
    const run = (...argv: string[]): Promise<string> => server.docker('run', '--rm', 'busybox', ...argv)
    assert.match(await run('cat', '/proc/net/if_inet6'), /^fd[0-9a-f]{30} \w+ 40 00 .*eth0$/m)
    assert.match(await run('cat', '/etc/hosts'), /^10\.206\.1\.\d+\t\w{12}$/m)
    assert.doesNotMatch(await run('cat', '/etc/hosts'), /^fd/m)
    const gateway = JSON.parse(await server.docker('network', 'inspect', 'bridge')) as [
      { EnableIPv6: boolean; IPAM: { Config: { Gateway: string }[] } },
    ]
    assert.equal(gateway[0].EnableIPv6, true)
    assert.match(gateway[0].IPAM.Config[1]?.Gateway ?? '', /^fd.*::1$/)
  })

  test('on a network without IPv6 is shown for IPv4 alone', async () => {
    await server.docker('network', 'create', '--subnet', '10.206.2.0/24', 'four')
    await server.docker('run', '-d', '--name', 'plain', '--network', 'four', '-p', '8081:80', ...SERVE)
    assert.equal(await server.docker('port', 'plain', '80'), '0.0.0.0:8081')
    await server.docker('rm', '-f', 'plain')
    await server.docker('network', 'rm', 'four')
    await server.docker('network', 'create', '--ipv6', '--subnet', '10.206.3.0/24', 'six')
    await server.docker('run', '-d', '--name', 'both', '--network', 'six', '-p', '8082:80', ...SERVE)
    await until('an answer', async () => (await page(outside, 'fd00:113::1', '8082')) === 'hello\n')
    await server.docker('rm', '-f', 'both')
    await server.docker('network', 'rm', 'six')
  })
})
