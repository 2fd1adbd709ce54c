import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDaemonOptions } from './options.ts'

test('parseDaemonOptions takes each flag in both forms', () => {
  const { engine, sockets } = parseDaemonOptions(
    [
      '--root=/r',
      '--run',
      '/s/',
      '-H',
      'unix:///a.sock',
      '--host=/b.sock',
      '-Hunix:///c',
      '--bridge',
      'dwt0',
      '--subnet=10.9.0.0/24',
      '--registry-mirror',
      'http://127.0.0.1:5000',
      '--insecure-registry',
      'r:5000',
      '--log-level',
      'debug',
      '-l=warn',
      '--isolation',
      'namespaces',
    ],
    {},
  )
  assert.deepEqual(sockets, ['/a.sock', '/b.sock', '/c'])
  assert.deepEqual(engine, {
    root: '/r',
    run: '/s',
    bridge: 'dwt0',
    subnet: '10.9.0.0/24',
    registryMirrors: ['http://127.0.0.1:5000'],
    insecureRegistries: ['r:5000'],
    defaultLevel: 'namespaces',
  })
})

test('parseDaemonOptions puts the socket into the run folder when none is named', () => {
  assert.deepEqual(parseDaemonOptions(['--run', '/x'], {}).sockets, ['/x/dewar.sock'])
})

test('parseDaemonOptions refuses TCP without client certificates, and says why', () => {
  const files = ['--tlscacert', 'a', '--tlscert', 'b', '--tlskey', 'c']
  for (const more of [
    [],
    files,
    ['--tlsverify'],
    ['--tlsverify', ...files.slice(2)],
    ['--tlsverify=false', ...files],
  ]) {
    for (const host of ['tcp://0.0.0.0:2375', 'TCP://127.0.0.1:2376'])
      assert.throws(
        () => parseDaemonOptions(['-H', host, ...more], {}),
        /whoever reaches the API is root.*--tlsverify/,
      )
  }
  assert.throws(() => parseDaemonOptions(['--tlsverify'], {}), /give .* together/)
})

test('parseDaemonOptions takes TCP with client certificates', () => {
  const files = ['--tlsverify', '--tlscacert=/a', '--tlscert', '/b', '--tlskey', '/c']
  const { tcp, tls, sockets } = parseDaemonOptions(['-H', 'tcp://[::1]:99', '-H', 'tcp://h', ...files], {})
  assert.deepEqual(tcp, [
    { host: '::1', port: 99 },
    { host: 'h', port: 2376 },
  ])
  assert.deepEqual(tls, { ca: '/a', cert: '/b', key: '/c' })
  assert.deepEqual(sockets, [])
})

test('parseDaemonOptions refuses what it does not know and values that cannot be', () => {
  for (const argv of [
    ['--nope'],
    ['x'],
    ['--root'],
    ['--root='],
    ['-H', 'relative'],
    ['-H', 'fd://'],
    ['-H', 'http://x'],
    ['-H', 'tcp://x:99999'],
    ['--tlsverify=maybe'],
    ['-H', `unix:///${'x'.repeat(110)}`],
    ['--log-level', 'loud'],
    ['--registry-mirror', 'r:5000'],
    ['--isolation', 'strong'],
  ]) {
    assert.throws(
      () => parseDaemonOptions(argv, {}),
      /^DewarError: Starting the engine failed: .*\(.+\)$/,
      argv.join(' '),
    )
  }
})
