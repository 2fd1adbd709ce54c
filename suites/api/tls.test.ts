/** The API over TCP: with client certificates or not at all. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { command } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { ENGINE_MAIN } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const skip = missing('docker', 'openssl', 'nsenter', 'curl')

/** ca.pem, and NAME.pem with NAME-key.pem for each name; `openssl` as the documentation of Docker has it. */
async function certificates(folder: string, ca: string, names: Record<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true })
  const openssl = (...args: string[]) => command(['openssl', ...args], { cwd: folder, check: true })
  const key = (name: string) => [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}-key.pem`,
  ]
  await openssl('req', '-x509', ...key('ca'), '-out', 'ca.pem', '-days', '2', '-subj', `/CN=${ca}`)
  for (const [name, extensions] of Object.entries(names)) {
    await writeFile(join(folder, `${name}.ext`), extensions)
    await openssl('req', '-new', ...key(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signing = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca-key.pem',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
    ]
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing)
  }
}

test(
  'the API is served over TCP to clients with a certificate of the authority, and to nobody else',
  { skip },
  async () => {
    await using scope = new Scope()
    const { path: folder } = scope.use(await tempFolder('tls'))
    const [ours, theirs] = [join(folder, 'ours'), join(folder, 'theirs')]
    const client = 'extendedKeyUsage=clientAuth'
    await certificates(ours, 'ours', {
      server: 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth',
      client,
    })
    await certificates(theirs, 'theirs', { client })
    const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
    const files = [
      '--tlsverify',
      '--tlscacert',
      `${ours}/ca.pem`,
      '--tlscert',
      `${ours}/server.pem`,
      '--tlskey',
      `${ours}/server-key.pem`,
    ]
    const server = scope.use(
      await startEngine({
        folder,
        network,
        bridge: 'dwta0',
        subnet: '172.27.0.0/16',
        arguments: ['-H', 'tcp://127.0.0.1:2376', ...files],
      }),
    )

    const docker = (certs: string, ...args: string[]) =>
      server.run(
        [
          'docker',
          '--tlsverify',
          `--tlscacert=${ours}/ca.pem`,
          `--tlscert=${certs}/client.pem`,
          `--tlskey=${certs}/client-key.pem`,
          ...args,
        ],
        { env: { DOCKER_HOST: 'tcp://127.0.0.1:2376' } },
      )
    const version = await docker(ours, 'version', '--format', '{{.Server.Platform.Name}}')
    assert.deepEqual([version.code, version.stdout], [0, 'Dewar\n'], version.stderr)
    const images = await docker(ours, 'images', '-q')
    assert.equal(images.code, 0, images.stderr)

    const stranger = await docker(theirs, 'version', '--format', '{{.Server.Version}}')
    assert.notEqual(stranger.code, 0)
    assert.match(stranger.stderr, /tls|certificate|EOF|reset/i)
    const curl = (...args: string[]) =>
      server.run(['curl', '-s', '-m', '20', '-w', '%{http_code}', '--cacert', `${ours}/ca.pem`, ...args])
    for (const args of [
      ['https://127.0.0.1:2376/_ping'],
      ['-k', 'https://127.0.0.1:2376/_ping'],
      ['http://127.0.0.1:2376/_ping'],
    ]) {
      const { code, stdout } = await curl(...args)
      assert.deepEqual([code !== 0, stdout.includes('OK')], [true, false], args.join(' '))
    }
    // A server's certificate does not make a client.
    const wrongUse = await curl(
      '--cert',
      `${ours}/server.pem`,
      '--key',
      `${ours}/server-key.pem`,
      'https://127.0.0.1:2376/_ping',
    )
    assert.ok(!wrongUse.stdout.includes('OK'), wrongUse.stdout)
    const right = await curl(
      '--cert',
      `${ours}/client.pem`,
      '--key',
      `${ours}/client-key.pem`,
      'https://127.0.0.1:2376/_ping',
    )
    assert.equal(right.stdout, 'OK200')
  },
)

test(
  'an engine refuses TCP without certificates, and files that do not fit, with the reason',
  { skip },
  async () => {
    await using scope = new Scope()
    const { path: folder } = scope.use(await tempFolder('tls'))
    await certificates(join(folder, 'a'), 'a', { server: 'extendedKeyUsage=serverAuth' })
    await certificates(join(folder, 'b'), 'b', { server: 'extendedKeyUsage=serverAuth' })
    const engine = (...args: string[]) =>
      command(
        [
          process.execPath,
          ENGINE_MAIN,
          '--root',
          join(folder, 'root'),
          '--run',
          join(folder, 'run'),
          '--bridge',
          'dwta0',
          '--subnet',
          '172.27.0.0/16',
          '-H',
          'tcp://127.0.0.1:23760',
          ...args,
        ],
        { timeout: 30_000 },
      )
    const open = await engine()
    assert.equal(open.code, 125)
    assert.match(open.stderr, /whoever reaches the API is root on this machine \(add --tlsverify/)
    const mixed = await engine(
      '--tlsverify',
      '--tlscacert',
      join(folder, 'a/ca.pem'),
      '--tlscert',
      join(folder, 'a/server.pem'),
      '--tlskey',
      join(folder, 'b/server-key.pem'),
    )
    assert.equal(mixed.code, 125)
    assert.match(mixed.stderr, /the TLS files do not work: .*mismatch/)
    const absent = await engine(
      '--tlsverify',
      '--tlscacert',
      '/nosuch',
      '--tlscert',
      '/nosuch',
      '--tlskey',
      '/nosuch',
    )
    assert.match(absent.stderr, /reading --tlscacert \/nosuch/)
  },
)
