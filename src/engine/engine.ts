/** The engine: opens its state, finds what runs, and answers the API. Embedded in a program or behind the daemon. */
import { mkdir } from 'node:fs/promises'
import { openNamespaces } from '../isolation/namespaces/index.ts'
import { DewarError } from '../base/errors.ts'
import { closeCgroups, openCgroups, removeParents, type CgroupLayout } from '../kernel/cgroup.ts'
import { startCore } from '../kernel/core.ts'
import type { Core } from '../kernel/core-api.ts'
import type { Step } from '../kernel/plan.ts'
import { machineArch } from '../kernel/seccomp.ts'
import type { Container } from './container.ts'
import { spread } from './container-folder.ts'
import { BuildService } from './build/builds.ts'
import { ContainerService } from './containers.ts'
import { Directory } from './directory.ts'
import { EventBus } from './events.ts'
import { ExecService } from './exec.ts'
import { readHostFacts } from './host-facts.ts'
import { IdRanges } from './id-ranges.ts'
import { imagesApi, registryOptions } from './engine-images.ts'
import { makeInitLayer } from './init-layer.ts'
import { ImageRoom } from './image-room.ts'
import { Levels } from './levels.ts'
import { Lifecycle } from './lifecycle.ts'
import { NetworkManager } from './network-manager.ts'
import { NetworkService } from './networks.ts'
import { resolveOptions, type EngineOptions, type Settings } from './options.ts'
import { Ready } from './ready.ts'
import { reconcile, startWanted } from './reconcile.ts'
import { lockRoot } from './root-lock.ts'
import type { Services } from './services.ts'
import { systemInfo } from './system.ts'
import { Trash } from './trash.ts'
import type {
  AuthConfig,
  Containers,
  EngineApi,
  EngineEvent,
  Execs,
  Images,
  Networks,
  SystemInfo,
  Volumes,
} from './types.ts'
import { Users } from './users.ts'
import { VolumeStore } from './volumes.ts'

interface Own {
  readonly trash: Trash
  readonly lock: AsyncDisposable
  readonly warnings: string[]
}

/**
 * ```ts
 * await using engine = await Engine.open({ root: '/var/lib/mine', run: '/run/mine' })
 * const { id } = await engine.containers.create({ config: { image: 'busybox', cmd: ['true'] }, hostConfig: {}, endpoints: {} })
 * await engine.containers.start(id)
 * ```
 */
export class Engine implements EngineApi, AsyncDisposable {
  readonly containers: Containers
  readonly execs: Execs
  readonly images: Images
  readonly builds: BuildService
  readonly volumes: Volumes
  readonly networks: Networks
  readonly settings: Settings
  readonly #services: Services
  readonly #lifecycle: Lifecycle
  readonly #trash: Trash
  readonly #lock: AsyncDisposable
  readonly #images: ImageRoom
  readonly #warnings: string[]

  private constructor(services: Services, images: ImageRoom, own: Own) {
    this.#services = services
    this.#images = images
    this.#trash = own.trash
    this.#lock = own.lock
    this.#warnings = own.warnings
    this.#lifecycle = new Lifecycle(services, own.trash)
    this.settings = services.settings
    this.containers = new ContainerService(services, this.#lifecycle, images)
    this.execs = new ExecService(services)
    this.images = imagesApi(
      images.service,
      { services, lifecycle: this.#lifecycle, images: images.service },
      registryOptions(services.settings),
    )
    this.builds = new BuildService({
      services,
      containers: this.containers,
      images: this.images,
      steps: images.service.steps(),
    })
    this.volumes = services.volumes
    this.networks = new NetworkService(services)
  }

  /**
   * Opens or makes the state below `root`, connects to containers that run, and cleans up after an engine that was
   * killed. Needs root. One engine per root: a second one is refused.
   */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const settings = resolveOptions(options)
    await makeFolders(settings)
    const lock = await lockRoot(settings.root)
    try {
      return await Engine.#openLocked(settings, lock)
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  }

  static async #openLocked(settings: Settings, lock: AsyncDisposable): Promise<Engine> {
    const core = await startCore({
      runDir: settings.run,
      ...(settings.coreProgram === undefined ? {} : { program: settings.coreProgram }),
    })
    try {
      return await Engine.#openWith(settings, core, lock)
    } catch (error) {
      await core[Symbol.asyncDispose]()
      throw error
    }
  }

  static async #openWith(settings: Settings, core: Core, lock: AsyncDisposable): Promise<Engine> {
    const arch = machineArch(process.arch)
    if (arch === undefined)
      throw new DewarError('system', `Opening the engine failed: ${process.arch} machines are not supported`)
    const cgroups = await openCgroups(settings.instance)
    const warnings: string[] = []
    const warn = (text: string): void => remember(warnings, text)
    const [facts, networks, level] = await Promise.all([
      readHostFacts(),
      NetworkManager.open(core, settings, warn),
      openNamespaces(core, { arch, layout: cgroups, layersByPath: settings.layersByPath }),
    ])
    const containers = new Directory<Container>()
    const bus = new EventBus()
    const trash = new Trash(settings.folders.trash, warn)
    const volumes = await VolumeStore.open({ folder: settings.folders.volumes, containers, bus, trash, core })
    const images = await ImageRoom.open({
      settings,
      core,
      containers,
      bus,
      // Nothing is removed before there are services.
      letGo: () => services.ready.letGo(),
    })
    warnings.push(...images.warnings)
    const services: Services = {
      settings,
      facts,
      arch,
      cgroups,
      core,
      levels: new Levels([level], settings.defaultLevel),
      bus,
      containers,
      ranges: new IdRanges(settings.idBase, settings.idSize),
      networks,
      volumes,
      users: new Users(core),
      trash,
      warn,
      image: (ref, platform) => images.service.forContainer(ref, platform),
      imageClaims: images.claims,
      ready: new Ready(() => services),
    }
    const engine = new Engine(services, images, { trash, lock, warnings })
    await engine.#settle()
    return engine
  }

  async #settle(): Promise<void> {
    const reconciler = { services: this.#services, lifecycle: this.#lifecycle, trash: this.#trash }
    this.#warnings.push(...(await reconcile(reconciler)))
    await this.builds.open()
    await this.#images.service.sweep()
    startWanted(reconciler)
  }

  info(): Promise<SystemInfo> {
    return this.#images.count().then((count) => systemInfo(this.#services, count, this.#warnings))
  }

  auth(config: AuthConfig): Promise<{ readonly status: string; readonly identityToken: string }> {
    return this.#images.auth(config)
  }

  events(options: Parameters<EngineApi['events']>[0]): AsyncIterable<EngineEvent> {
    return this.#services.bus.subscribe(options)
  }

  /**
   * Containers stay as they are; the next engine on the same root goes on with them. When none runs, nothing of the
   * engine stays on the host but its files: no bridge, no rule, no control group.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const idle = await this.#lifecycle.close()
    await this.#services.ready.close()
    this.#services.networks.names.close()
    await this.#services.networks.guards.close()
    if (idle) await this.#leaveNothing()
    await this.#trash[Symbol.asyncDispose]()
    await this.#services.core[Symbol.asyncDispose]()
    await this.#lock[Symbol.asyncDispose]()
  }

  /** What cannot be removed now is found by the next engine; closing does not fail for it. */
  async #leaveNothing(): Promise<void> {
    const { networks, core, cgroups, settings } = this.#services
    await networks.known.takeDown().catch(() => undefined)
    await core.run({ steps: removeGroups(cgroups, settings.instance) }).catch(() => undefined)
    await closeCgroups(cgroups, settings.instance).catch(() => undefined)
  }
}

function removeGroups(cgroups: CgroupLayout, instance: string): Step[] {
  return removeParents(cgroups, `/dewar-${instance}/x`).map((step) => ({ ...step, actor: 'host' as const }))
}

/** The latest are what matters; a failing disk must not fill memory. */
function remember(warnings: string[], text: string): void {
  warnings.push(text)
  if (warnings.length > 50) warnings.shift()
}

async function makeFolders(settings: Settings): Promise<void> {
  const { root, run, folders } = settings
  for (const folder of [
    root,
    run,
    folders.containers,
    folders.volumes,
    folders.networks,
    folders.trash,
    folders.running,
  ]) {
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
      throw new DewarError('system', `Opening the engine failed: cannot make ${folder}`, {
        cause,
        remedy: 'the engine needs root',
      })
    })
  }
  await spread(folders.containers, folders.running)
  makeInitLayer(root)
}
