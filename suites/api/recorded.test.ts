import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CONFIG, CREATE, HOST_CONFIG_CODEC } from '../../src/api/container-schema.ts'
import { inspectJson, summaryJson } from '../../src/api/container-view.ts'
import { eventLine } from '../../src/api/event-view.ts'
import { imageJson, imageSummaryJson } from '../../src/api/image-view.ts'
import { networkJson, volumeJson } from '../../src/api/network-view.ts'
import { statsJson } from '../../src/api/stats-view.ts'
import { infoJson, versionJson } from '../../src/api/system-view.ts'
import { completeHostConfig, mergeConfig } from '../../src/engine/config.ts'
import type { ContainerView, EngineEvent, ImageView } from '../../src/engine/types.ts'

type Json = Record<string, unknown>

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The tests run from the compiled tree; the recordings stay in the sources. */
function recording(name: string): string {
  return readFileSync(join(process.cwd(), 'suites/api/recorded', name), 'utf8')
}

function recorded(name: string): Json {
  const parsed: unknown = JSON.parse(recording(name))
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  assert.ok(isJson(first))
  return first
}

function part(json: Json, key: string): Json {
  const value = json[key]
  assert.ok(isJson(value), key)
  return value
}

/** The fields of API 1.41 that later versions dropped, and the order dockerd 20.10 had them in. */
const GONE = ['KernelMemory', 'KernelMemoryTCP']
const KEPT_ORDER = ['ConsoleSize', 'Isolation']

function withoutGone(json: Json): Json {
  return Object.fromEntries(Object.entries(json).filter(([key]) => !GONE.includes(key)))
}

const NO_IMAGE = {
  user: '',
  exposedPorts: {},
  env: [],
  entrypoint: null,
  cmd: null,
  volumes: {},
  workingDir: '',
  labels: {},
}

function viewOf(name: string): ContainerView {
  const json = recorded(name)
  const decoded = CREATE.decode({ ...part(json, 'Config'), HostConfig: json['HostConfig'] })
  const { hostConfig = {}, image = '', networkingConfig: _, macAddress: __, ...config } = decoded
  return {
    id: String(json['Id']),
    linkNames: [],
    name: String(json['Name']),
    created: 0,
    imageId: String(json['Image']),
    path: 'sleep',
    args: ['1000'],
    config: mergeConfig(
      { config: { ...config, image }, hostConfig, endpoints: {} },
      NO_IMAGE,
      String(json['Id']),
    ),
    hostConfig: completeHostConfig(hostConfig, {
      runtime: 'runc',
      logConfig: { type: 'json-file', config: {} },
    }),
    state: {
      status: 'running',
      running: true,
      paused: false,
      restarting: false,
      oomKilled: false,
      dead: false,
      pid: 1,
      exitCode: 0,
      error: '',
      startedAt: 1,
      finishedAt: 0,
      health: { status: 'healthy', failingStreak: 0, log: [{ start: 1, end: 2, exitCode: 0, output: '' }] },
    },
    restartCount: 0,
    mounts: [
      {
        type: 'volume',
        name: 'vol',
        source: '/s',
        destination: '/v',
        driver: 'local',
        mode: 'z',
        rw: true,
        propagation: '',
      },
    ],
    networks: {
      none: {
        networkID: 'n',
        endpointID: 'e',
        gateway: '',
        ipAddress: '',
        ipPrefixLen: 0,
        ipv6Gateway: '',
        globalIPv6Address: '',
        globalIPv6PrefixLen: 0,
        dnsNames: null,
      },
    },
    ports: {},
    paths: { log: '/l', hosts: '/h', hostname: '/n', resolvConf: '/r' },
    graph: { lower: ['/a', '/b'], upper: '/u/diff', work: '/u/work' },
    execIds: [],
    platform: 'linux',
    sizeRootFs: 5,
  }
}

/** Same keys in the same order and the same JSON types all the way down; values may differ. */
function assertSameShape(
  actual: unknown,
  expected: unknown,
  path: string,
  extra: readonly string[] = [],
): void {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual), `${path} is a list`)
    if (expected.length > 0 && actual.length > 0) assertSameShape(actual[0], expected[0], `${path}[0]`, extra)
    return
  }
  if (isJson(expected)) {
    assert.ok(isJson(actual), `${path} is an object`)
    const known = Object.keys(actual).filter((key) => !extra.includes(key))
    assert.deepEqual(
      known,
      Object.keys(expected).filter((key) => !GONE.includes(key)),
      `fields of ${path}`,
    )
    for (const key of Object.keys(expected))
      if (!GONE.includes(key)) assertSameShape(actual[key], expected[key], `${path}.${key}`, extra)
    return
  }
  if (expected !== null && actual !== null) assert.equal(typeof actual, typeof expected, path)
}

function reorder(json: Json): Json {
  const moved = KEPT_ORDER.filter((key) => key in json)
  return {
    ...Object.fromEntries(Object.entries(json).filter(([key]) => !moved.includes(key))),
    ...Object.fromEntries(moved.map((key) => [key, json[key]])),
  }
}

test('HOST_CONFIG_CODEC gives back exactly what dockerd showed, for nearly every field set and for nearly none', () => {
  for (const name of ['container-rich.json', 'container-inspect.json']) {
    const json = withoutGone(part(recorded(name), 'HostConfig'))
    const shown: unknown = HOST_CONFIG_CODEC.encode({
      ...viewOf(name).hostConfig,
      cpuCount: 0,
      cpuPercent: 0,
      ioMaximumIOps: 0,
      ioMaximumBandwidth: 0,
    })
    assert.ok(isJson(shown))
    // What the client did not send is filled in by the engine; nil and empty are the same to Go.
    for (const key of Object.keys(json)) {
      if (json[key] === null) {
        delete json[key]
        delete shown[key]
      } else if (Array.isArray(json[key]) && shown[key] === null) shown[key] = []
    }
    assert.deepEqual(shown, json)
  }
})

test('CONFIG gives back exactly what dockerd showed', () => {
  const json = part(recorded('container-rich.json'), 'Config')
  const empty = { attachStdin: false, attachStdout: false, attachStderr: false, onBuild: null }
  const shown: unknown = CONFIG.encode({ ...empty, ...CONFIG.decode(json) })
  assert.deepEqual(shown, json)
  assert.ok(isJson(shown))
  assert.deepEqual(Object.keys(shown), Object.keys(json))
})

test('inspectJson has dockerd’s fields, in its order, with its types', () => {
  const json = recorded('container-inspect.json')
  const shown = inspectJson({ ...viewOf('container-inspect.json') }, 41)
  delete json['SizeRootFs']
  const host = reorder(part(json, 'HostConfig'))
  const ours: unknown = Reflect.get(shown, 'HostConfig')
  assert.ok(isJson(ours))
  const { HostConfig: _, SizeRootFs: __, ...rest } = { ...shown } as Json
  const { HostConfig: ___, ...restOfTheirs } = json
  // dockerd 28 sends the endpoint's MacAddress second; only its place differs.
  assertSameShape(sorted(rest), sorted(restOfTheirs), 'container')
  assertSameShape(reorder(ours), host, 'HostConfig')
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isJson(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  )
}

test('summaryJson has dockerd’s fields and types', () => {
  const view = viewOf('container-inspect.json')
  assertSameShape(
    sorted(summaryJson(view, 'busybox', 41, Date.now())),
    sorted(recorded('container-list.json')),
    'container',
  )
})

function imageView(): ImageView {
  const json = recorded('image-inspect.json')
  return {
    id: String(json['Id']),
    repoTags: ['busybox:latest'],
    repoDigests: [],
    parent: '',
    comment: 'Imported from -',
    created: Date.parse(String(json['Created'])),
    author: '',
    architecture: 'amd64',
    os: 'linux',
    size: 1982356,
    config: {
      ...NO_IMAGE,
      exposedPorts: { '80/tcp': {} },
      env: ['PATH=/bin', 'A=b'],
      cmd: ['sh'],
      labels: { x: 'y' },
    },
    layers: ['sha256:1'],
    lastTagTime: 1,
    containers: 1,
  }
}

test('imageJson has the ContainerConfig docker-compose v1 reads, and dockerd’s fields', () => {
  const theirs = recorded('image-inspect.json')
  assertSameShape(imageJson({ ...imageView(), folders: ['/layers/1'] }, 41), theirs, 'image')
})

test('imageJson drops with each API version what dockerd 28 drops', () => {
  const keys = (minor: number): string[] => Object.keys(imageJson(imageView(), minor))
  assert.ok(keys(43).includes('VirtualSize') && !keys(44).includes('VirtualSize'))
  assert.ok(keys(44).includes('ContainerConfig') && !keys(45).includes('ContainerConfig'))
  const config: unknown = Reflect.get(imageJson(imageView(), 50), 'Config')
  assert.deepEqual(config, {
    ExposedPorts: { '80/tcp': {} },
    Env: ['PATH=/bin', 'A=b'],
    Cmd: ['sh'],
    Labels: { x: 'y' },
  })
  assert.equal(Reflect.get(Object(Reflect.get(imageJson(imageView(), 49), 'Config')), 'Hostname'), '')
})

test('imageSummaryJson has dockerd’s fields and types', () => {
  const theirs = recorded('image-list.json')
  assertSameShape(imageSummaryJson(imageView(), 41, { counted: false, shared: -1 }), theirs, 'image')
})

test('networkJson has dockerd’s fields and types', () => {
  const network = {
    id: 'i',
    name: 'none',
    created: 1,
    driver: 'null',
    scope: 'local',
    enableIPv4: true,
    enableIPv6: false,
    internal: false,
    attachable: false,
    ingress: false,
    configOnly: false,
    configFrom: '',
    ipam: { driver: 'default', options: null, config: [] },
    options: {},
    labels: {},
    containers: {},
  } as const
  assertSameShape(
    { ...networkJson(network, { minor: 41, containers: true }), ...{} },
    { ...recorded('networks.json'), IPAM: { Driver: '', Options: null, Config: null } },
    'network',
  )
})

test('volumeJson has dockerd’s fields and types', () => {
  const list = recorded('volumes.json')['Volumes']
  assert.ok(Array.isArray(list))
  const volume = {
    name: 'v',
    driver: 'local',
    mountpoint: '/m',
    createdAt: 1,
    labels: null,
    options: null,
    scope: 'local',
  } as const
  assertSameShape(volumeJson(volume), list[0], 'volume')
  assert.equal(Reflect.get(volumeJson(volume), 'CreatedAt'), '1970-01-01T00:00:00Z')
})

test('statsJson has dockerd’s fields and types', () => {
  const theirs = recorded('stats.json')
  const cpu = {
    total: 1,
    user: 1,
    kernel: 1,
    perCpu: [1],
    system: 1,
    online: 1,
    throttling: { periods: 0, throttled: 0, time: 0 },
  }
  const sample = {
    read: 1,
    pids: { current: 1, limit: 1 },
    cpu,
    memory: { usage: 1, max: 1, limit: 1, stats: {}, failcnt: null },
    blkio: [{ major: 1, minor: 1, op: 'Read', value: 1 }],
    blkioRequests: [{ major: 1, minor: 1, op: 'Read', value: 1 }],
    networks: {},
  }
  const shown = statsJson({ id: 'i', name: 'n', now: sample, before: sample })
  for (const key of ['memory_stats', 'pids_stats', 'blkio_stats']) {
    delete theirs[key]
    Reflect.deleteProperty(shown, key)
  }
  assertSameShape(shown, theirs, 'stats')
})

test('infoJson has every field of dockerd’s that later versions kept', () => {
  const gone = ['KernelMemory', 'KernelMemoryTCP']
  const shown = infoJson(
    {
      id: 'i',
      name: 'n',
      root: '/r',
      containers: 0,
      running: 0,
      paused: 0,
      stopped: 0,
      images: 0,
      kernelVersion: 'k',
      operatingSystem: 'o',
      osVersion: '1',
      architecture: 'x86_64',
      cpus: 1,
      memory: 1,
      cgroupDriver: 'cgroupfs',
      cgroupVersion: '1',
      levels: [{ name: 'namespaces', available: true }],
      warnings: [],
      registryMirrors: [],
      insecureRegistries: [],
      goroutines: 0,
      fileDescriptors: 0,
      eventListeners: 0,
    },
    { version: '1', commit: '', built: 0 },
    41,
  )
  const missing = Object.keys(recorded('info.json')).filter((key) => !gone.includes(key) && !(key in shown))
  assert.deepEqual(missing, [])
})

test('versionJson has every field of dockerd’s', () => {
  const shown = versionJson({ version: '1', commit: 'c', built: 1 })
  assert.deepEqual(
    Object.keys(recorded('version.json')).filter((key) => !(key in shown)),
    [],
  )
})

test('eventLine gives back dockerd’s lines to the letter, nanoseconds included', () => {
  for (const line of recording('events.jsonl').trim().split('\n')) {
    const nanos = BigInt(/"timeNano":(\d+)/.exec(line)?.[1] ?? '0')
    const parsed: unknown = JSON.parse(line)
    assert.ok(isJson(parsed))
    const actor = part(parsed, 'Actor')
    const attributes = Object.fromEntries(
      Object.entries(part(actor, 'Attributes')).map(([key, value]) => [key, String(value)]),
    )
    const type = parsed['Type']
    assert.ok(type === 'image' || type === 'container' || type === 'volume')
    const event: EngineEvent = {
      type,
      action: String(parsed['Action']),
      actor: { id: String(actor['ID']), attributes },
      time: Number(nanos / 1_000_000n),
      timeNano: nanos,
    }
    assert.equal(eventLine(event).trimEnd(), line)
  }
})

test('inspectJson gives the bindings of ports Docker’s names', () => {
  const ports = { '80/tcp': [{ hostIp: '::', hostPort: '8080' }], '7/udp': null }
  const shown: unknown = Reflect.get(
    inspectJson({ ...viewOf('container-inspect.json'), ports }, 45),
    'NetworkSettings',
  )
  assert.ok(isJson(shown))
  assert.equal(JSON.stringify(shown['Ports']), '{"7/udp":null,"80/tcp":[{"HostIp":"::","HostPort":"8080"}]}')
})
