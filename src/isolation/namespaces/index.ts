/** The level `namespaces`: all eight namespaces, a private id range, cgroups, capabilities, a filter. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  cgroupPlan,
  freezeWrites,
  joinPlan,
  oomFile,
  parentSteps,
  type CgroupLayout,
  type CgroupPlan,
} from '../../kernel/cgroup.ts'
import { holdsCapability } from '../../kernel/capabilities.ts'
import type { Begun, Core, ExecOptions, Shim, ShimProcess } from '../../kernel/core-api.ts'
import type { OciProcess } from '../../kernel/oci.ts'
import type { Plan, Step } from '../../kernel/plan.ts'
import { PlanFailed } from '../../kernel/plan-failed.ts'
import type { MachineArch } from '../../kernel/seccomp.ts'
import type { Availability, Bundle, FilesOptions, Level } from '../level.ts'
import { filesPlan } from './files-plan.ts'
import {
  beforehand,
  beginning,
  containerPlan,
  execPlan,
  hostId,
  type Beginning,
  type Machine,
} from './plan.ts'

interface Found {
  readonly arch: MachineArch
  readonly layout: CgroupLayout
  /** Do as if the kernel took no descriptors of layers. */
  readonly layersByPath: boolean
}

/** Decides once what this machine offers; `overlayByFd` is found out by trying. */
export async function openNamespaces(core: Core, { arch, layout, layersByPath }: Found): Promise<Level> {
  return new NamespacesLevel({
    arch,
    layout,
    overlayByFd: !layersByPath && (await overlayTakesDescriptors(core)),
    kcore: existsSync('/proc/kcore'),
    raisesLimits: await holdsCapability('CAP_SYS_RESOURCE'),
  })
}

/** A level for planning only: nothing is tried, nothing can be started. */
export function planNamespaces(machine: Machine): Pick<Level, 'plan'> {
  return new NamespacesLevel(machine)
}

class NamespacesLevel implements Level {
  readonly name = 'namespaces'
  readonly #machine: Machine
  /** Folders above the containers' groups that this engine has made: 25 of a start's 45 cgroup steps. */
  readonly #parents = new Map<string, Promise<unknown>>()
  /** With what it was made of, as text: who starts with the same need not decide it again. */
  readonly #beginnings = new WeakMap<Begun, { readonly of: string; readonly made: Beginning }>()

  constructor(machine: Machine) {
    this.#machine = machine
  }

  available(): Promise<Availability> {
    return Promise.resolve({ ok: true })
  }

  plan(bundle: Bundle): Plan {
    const made = beginning(beforehand(bundle), this.#cgroup(bundle, true), this.#machine)
    return containerPlan(bundle, made, this.#machine)
  }

  async start(core: Core, bundle: Bundle, begun?: Begun): Promise<Shim> {
    const plan = containerPlan(bundle, this.#beginning(bundle, begun), this.#machine)
    await this.#makeParents(core, bundle)
    const oom = oomFile(this.#machine.layout, bundle.spec.linux.cgroupsPath)
    const shim = {
      ...bundle.shim,
      owner: ownerOf(bundle, bundle.spec.process),
      ...(oom === undefined ? {} : { oomFile: oom }),
    }
    return core.launch(plan, shim, begun)
  }

  /** The core compares its steps with those that were carried out. */
  #beginning(bundle: Bundle, begun: Begun | undefined): Beginning {
    const before = beforehand(bundle)
    const known = begun && this.#beginnings.get(begun)
    if (known?.of === JSON.stringify(before)) return known.made
    return beginning(before, this.#cgroup(bundle, false), this.#machine)
  }

  async begin(core: Core, bundle: Pick<Bundle, 'spec' | 'rootfs' | 'shim'>): Promise<Begun | undefined> {
    await this.#makeParents(core, bundle)
    const before = beforehand(bundle)
    const made = beginning(before, this.#cgroup(bundle, false), this.#machine)
    const begun = await core.begin({ steps: made.steps })
    if (begun !== undefined) this.#beginnings.set(begun, { of: JSON.stringify(before), made })
    return begun
  }

  async #makeParents(core: Core, { spec }: Pick<Bundle, 'spec'>): Promise<void> {
    const { cgroupsPath, resources } = spec.linux
    // A cpuset needs folders of its own, in a tree that other containers do without.
    const key = `${dirname(cgroupsPath)} ${resources.cpu?.cpus ?? ''} ${resources.cpu?.mems ?? ''}`
    const made =
      this.#parents.get(key) ?? core.run({ steps: parentSteps(this.#machine.layout, cgroupsPath, resources) })
    this.#parents.set(key, made)
    made.catch(() => this.#parents.delete(key))
    await made
  }

  exec(shim: Shim, bundle: Bundle, process: OciProcess, options: ExecOptions): Promise<ShimProcess> {
    const join = joinPlan(this.#machine.layout, bundle.spec.linux.cgroupsPath, bundle.spec.linux.resources, 0)
    return shim.exec(execPlan(bundle, process, join, this.#machine), {
      ...options,
      owner: ownerOf(bundle, process),
    })
  }

  files(
    core: Core,
    bundle: Bundle,
    running: Shim | undefined,
    steps: readonly Step[],
    options?: FilesOptions,
  ): Promise<Buffer[]> {
    const run = (pid?: number, o = options): Promise<Buffer[]> =>
      core.run(filesPlan(bundle, pid, steps, this.#machine, o?.bare), o)
    // What comes out is read in the namespaces: they are open, and a slow client needs no number any more.
    return running === undefined
      ? run()
      : running.whilePid((pid, opened) => run(pid, whenOutput(opened, options)))
  }

  release(bundle: Bundle): Plan {
    const cgroup = this.#cgroup(bundle, false)
    return { steps: [...cgroup.after, ...bundle.network.after] }
  }

  pause(core: Core, bundle: Bundle): Promise<void> {
    return this.#freeze(core, bundle, true)
  }

  unpause(core: Core, bundle: Bundle): Promise<void> {
    return this.#freeze(core, bundle, false)
  }

  async #freeze(core: Core, bundle: Bundle, frozen: boolean): Promise<void> {
    await core.run({ steps: freezeWrites(this.#machine.layout, bundle.spec.linux.cgroupsPath, frozen) })
  }

  #cgroup(bundle: Pick<Bundle, 'spec'>, parents: boolean): CgroupPlan {
    const { cgroupsPath, resources } = bundle.spec.linux
    return cgroupPlan(this.#machine.layout, cgroupsPath, resources, 0, { parents })
  }
}

function whenOutput(begins: () => void, options: FilesOptions | undefined): FilesOptions | undefined {
  const output = options?.output
  if (output === undefined) return options
  return {
    ...options,
    output: (chunk) => {
      begins()
      return output(chunk)
    },
  }
}

/** Kernel ids of the process's user, who owns its standard streams. */
function ownerOf(bundle: Bundle, process: OciProcess): { readonly uid: number; readonly gid: number } {
  const { uidMappings, gidMappings } = bundle.spec.linux
  return { uid: hostId(uidMappings, process.user.uid), gid: hostId(gidMappings, process.user.gid) }
}

/** Makes an overlay of two empty folders that is attached nowhere. */
async function overlayTakesDescriptors(core: Core): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'dewar-probe-'))
  try {
    // The same folder twice would be refused (ELOOP), and a single layer is no overlay.
    const layers = [join(folder, 'a'), join(folder, 'b')]
    const take = layers.map((path, slot): Step => ({
      actor: 'host',
      op: 'clone-mount',
      path,
      slot,
      recursive: false,
    }))
    const options = layers.map((_, slot) => ['lowerdir+', { slot }] as const)
    await core.run({
      steps: [
        ...layers.map((path): Step => ({ actor: 'host', op: 'mkdir', path, mode: 0o700 })),
        ...take,
        { actor: 'host', op: 'fsmount', slot: 2, type: 'overlay', attrs: 0, options },
      ],
    })
    return true
  } catch (error) {
    if (error instanceof PlanFailed && error.op === 'fsmount') return false
    throw error
  } finally {
    await rm(folder, { recursive: true })
  }
}
