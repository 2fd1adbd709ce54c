import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DewarError } from '../base/errors.ts'
import { mountRequests, parseBind } from './mount-requests.ts'

const none = { binds: null, volumeDriver: '', volumes: {} }

test('parseBind tells paths from volume names', () => {
  assert.deepEqual(parseBind('/src/../x:/dst/:ro'), {
    type: 'bind',
    source: '/x',
    destination: '/dst',
    rw: false,
    mode: 'ro',
    propagation: '',
    recursive: true,
    topReadOnly: false,
    createSource: true,
  })
  const volume = parseBind('data:/dst:nocopy')
  assert.ok(volume.type === 'volume')
  assert.deepEqual([volume.name, volume.noCopy, volume.rw], ['data', true, true])
  const anonymous = parseBind('/only')
  assert.ok(anonymous.type === 'volume')
  assert.equal(anonymous.name, undefined)
})

test('parseBind refuses what dockerd refuses', () => {
  const cases: [string, RegExp][] = [
    ['', /invalid volume specification: ''/],
    ['/a:', /invalid volume specification/],
    ['/a:b', /mount path must be absolute/],
    ['/a:/', /destination can't be '\/'/],
    ['/a:/b/../..', /destination can't be '\/'/],
    ['/a:/b:xx', /invalid mode: xx/],
    ['/a:/b:ro,rw', /invalid mode/],
    ['/a:/b:ro:more', /invalid volume specification/],
    ['../a:/b', /includes invalid characters for a local volume name/],
    ['a:/b:rshared', /type "volume": field BindOptions must not be specified/],
    ['/a:/b:rshared,slave', /invalid mode: rshared,slave/],
  ]
  for (const [spec, message] of cases) assert.throws(() => parseBind(spec), message, spec)
})

test('parseBind answers a clean absolute destination or a DewarError', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('/', '.', ':', 'a', 'ro', ',', '\0', ' ') }), (spec) => {
      try {
        const { destination } = parseBind(spec)
        assert.match(destination, /^\/./)
        assert.ok(!destination.split('/').includes('..'))
      } catch (error) {
        assert.ok(error instanceof DewarError, String(error))
      }
    }),
  )
})

test('mountRequests lets an explicit mount replace the image’s volume and an inherited one', () => {
  const inherited = [
    {
      type: 'volume',
      name: 'old',
      source: '/v/old',
      destination: '/data',
      mode: 'z',
      rw: false,
      propagation: '',
      driver: 'local',
    },
  ] as const
  const requests = mountRequests(
    { ...none, binds: ['/h:/data'], volumes: { '/data': {}, '/other': {} } },
    inherited,
  )
  assert.deepEqual(
    requests.map((r) => [r.type, r.destination]),
    [
      ['bind', '/data'],
      ['volume', '/other'],
    ],
  )
  const kept = mountRequests({ ...none, volumes: { '/data': {} } }, inherited)
  assert.deepEqual(
    kept.map((r) => [r.type, r.destination, r.rw]),
    [['volume', '/data', false]],
  )
})

test('mountRequests refuses two mounts on one place', () => {
  const twice = { ...none, binds: ['/h:/data'], tmpfs: { '/data/': '' } }
  assert.throws(() => mountRequests(twice, []), /Duplicate mount point: \/data/)
})

test('mountRequests checks --mount', () => {
  const refuse = (mount: object, message: RegExp) =>
    assert.throws(
      () => mountRequests({ ...none, mounts: [{ type: 'bind', target: '/t', ...mount }] }, []),
      message,
    )
  refuse({ source: '' }, /invalid mount config for type "bind": field Source must not be empty/)
  refuse({ source: 'rel' }, /mount path must be absolute/)
  refuse({ source: '/a', target: '' }, /field Target must not be empty/)
  refuse({ source: '/a', bindOptions: { propagation: 'x' } }, /invalid propagation mode: x/)
  refuse({ type: 'tmpfs', source: '/a' }, /field Source must not be specified/)
  refuse(
    { type: 'volume', source: 'v', volumeOptions: { subpath: 'a/../../b' } },
    /subpath must be a relative path within the volume/,
  )
  refuse({ type: 'npipe', source: 'v' }, /not supported/)
  refuse({ type: 'image', source: '' }, /type "image": field Source must not be empty/)
  for (const subpath of ['..', '/etc', 'a/../..', 'a\0'])
    refuse({ type: 'image', source: 'i', imageOptions: { subpath } }, /subpath must be a relative path/)
})

test('mountRequests takes images and parts of volumes along from other containers', () => {
  const inherited = [
    { type: 'image', source: 'sha256:1', name: 'i', subpath: 'part', destination: '/i' },
    { type: 'volume', source: '/x', name: 'v', subpath: 'given', destination: '/v' },
  ] as const
  const common = { rw: true, mode: '', propagation: '' }
  const found = mountRequests(
    none,
    inherited.map((mount) => ({ ...mount, ...common })),
  )
  assert.deepEqual(
    found.map((mount) => [mount.type, 'subpath' in mount ? mount.subpath : undefined]),
    [
      ['image', 'part'],
      ['volume', 'given'],
    ],
  )
})

test('mountRequests gives tmpfs the safe words and lets later ones win', () => {
  const [first] = mountRequests({ ...none, tmpfs: { '/run': 'exec,size=1m' } }, [])
  assert.ok(first?.type === 'tmpfs')
  assert.deepEqual(first.options, ['noexec', 'nosuid', 'nodev', 'exec', 'size=1m'])
  assert.throws(
    () => mountRequests({ ...none, tmpfs: { '/run': 'bind' } }, []),
    /invalid tmpfs option "bind"/,
  )
})

test('mountRequests marks volumes that were asked for with z, as dockerd shows them', () => {
  const modes = (input: Partial<Parameters<typeof mountRequests>[0]>) =>
    mountRequests({ binds: null, volumeDriver: '', volumes: {}, ...input }, []).map(({ mode }) => mode)
  assert.deepEqual(modes({ binds: ['vol:/a', 'vol:/b:ro', '/host:/c'] }), ['z', 'ro', ''])
  assert.deepEqual(modes({ mounts: [{ type: 'volume', source: 'vol', target: '/a' }] }), ['z'])
  assert.deepEqual(modes({ volumes: { '/a': {} } }), [''])
})
