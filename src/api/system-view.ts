/** `docker version` and `docker info`. */
import { arch, release } from 'node:os'
import type { SystemInfo } from '../engine/types.ts'
import { API_VERSION, MIN_API_VERSION } from './api-version.ts'
import { rfc3339Nano } from './go-time.ts'

/** What the engine calls itself. */
export interface Product {
  readonly version: string
  /** Of the source, or "". */
  readonly commit: string
  /** Milliseconds since the epoch, 0 when unknown. */
  readonly built: number
}

const GO_ARCH: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: '386',
  riscv64: 'riscv64',
}

export function versionJson(product: Product): object {
  const built = product.built === 0 ? '' : rfc3339Nano(product.built)
  const common = {
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: product.commit,
    GoVersion: '',
  }
  const machine = { Os: 'linux', Arch: GO_ARCH[arch()] ?? arch(), KernelVersion: release() }
  return {
    Platform: { Name: 'Dewar' },
    Components: [
      {
        Name: 'Engine',
        Version: product.version,
        Details: {
          ...common,
          ...machine,
          BuildTime: built,
          Experimental: 'false',
          NodeVersion: process.version,
        },
      },
    ],
    Version: product.version,
    ...common,
    ...machine,
    BuildTime: built,
  }
}

/** As the version of the API has it that was asked for: newer ones left fields out. */
export function infoJson(info: SystemInfo, product: Product, minor: number): object {
  return {
    ID: info.id,
    Containers: info.containers,
    ContainersRunning: info.running,
    ContainersPaused: info.paused,
    ContainersStopped: info.stopped,
    Images: info.images,
    ...storageJson(),
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'macvlan', 'null'],
      Authorization: null,
      Log: ['json-file', 'local', 'none'],
    },
    ...resourcesJson(info, minor),
    Debug: false,
    NFd: info.fileDescriptors,
    OomKillDisable: info.cgroupVersion === '1',
    NGoroutines: info.goroutines,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: info.cgroupDriver,
    CgroupVersion: info.cgroupVersion,
    NEventsListener: info.eventListeners,
    KernelVersion: info.kernelVersion,
    OperatingSystem: info.operatingSystem,
    OSVersion: info.osVersion,
    OSType: 'linux',
    Architecture: info.architecture,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryJson(info, minor),
    NCPU: info.cpus,
    MemTotal: info.memory,
    GenericResources: null,
    DockerRootDir: info.root,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: info.name,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: product.version,
    ...levelsJson(info),
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'dewar-init',
    ContainerdCommit: commitJson('', minor),
    RuncCommit: commitJson(product.commit, minor),
    InitCommit: commitJson(product.commit, minor),
    SecurityOptions: [
      'name=seccomp,profile=builtin',
      'name=userns',
      ...(info.cgroupVersion === '2' ? ['name=cgroupns'] : []),
    ],
    ...(minor >= 49 ? { FirewallBackend: { Driver: 'nftables' } } : {}),
    CDISpecDirs: [],
    Warnings: info.warnings.length === 0 ? null : info.warnings,
  }
}

function commitJson(id: string, minor: number): object {
  return { ID: id, ...(minor < 49 ? { Expected: id } : {}) }
}

function storageJson(): object {
  return {
    Driver: 'overlay2',
    DriverStatus: [
      ['Supports d_type', 'true'],
      ['Using metacopy', 'false'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
    ],
  }
}

function resourcesJson(info: SystemInfo, minor: number): object {
  return {
    MemoryLimit: true,
    SwapLimit: true,
    ...(info.cgroupVersion === '1' ? { KernelMemoryTCP: true } : {}),
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    ...(minor < 50 ? { BridgeNfIptables: false, BridgeNfIp6tables: false } : {}),
  }
}

/** Isolation levels stand where dockerd lists its runtimes, so `docker run --runtime=LEVEL` finds them. */
function levelsJson(info: SystemInfo): object {
  const usable = info.levels.filter((level) => level.available)
  return {
    Runtimes: Object.fromEntries(usable.map((level) => [level.name, { path: 'dewar' }])),
    DefaultRuntime: usable[0]?.name ?? 'namespaces',
  }
}

function registryJson(info: SystemInfo, minor: number): object {
  const insecure = info.insecureRegistries.filter((name) => !name.includes('/'))
  const networks = info.insecureRegistries.filter((name) => name.includes('/'))
  const index = { Name: 'docker.io', Mirrors: info.registryMirrors, Secure: true, Official: true }
  const others = insecure.map((name): [string, object] => [
    name,
    { Name: name, Mirrors: [], Secure: false, Official: false },
  ])
  return {
    ...(minor < 49
      ? { AllowNondistributableArtifactsCIDRs: null, AllowNondistributableArtifactsHostnames: null }
      : {}),
    InsecureRegistryCIDRs: ['127.0.0.0/8', ...networks],
    IndexConfigs: { 'docker.io': index, ...Object.fromEntries(others) },
    Mirrors: info.registryMirrors.length === 0 ? null : info.registryMirrors,
  }
}
