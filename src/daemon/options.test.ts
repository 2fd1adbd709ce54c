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

test('parseDaemonOptions refuses TCP and says why', () => {
  for (const host of ['tcp://0.0.0.0:2375', 'TCP://127.0.0.1:2376', 'http://x']) {
    assert.throws(() => parseDaemonOptions(['-H', host], {}), /whoever reaches the API is root.*TLS/)
  }
})

test('parseDaemonOptions refuses what it does not know and values that cannot be', () => {
  for (const argv of [
    ['--nope'],
    ['x'],
    ['--root'],
    ['--root='],
    ['-H', 'relative'],
    ['-H', 'fd://'],
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
