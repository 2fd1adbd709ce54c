/** The engine's `builds`: a request becomes an image with names, or leaves nothing but what its steps have kept. */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError, messageOf } from '../../base/errors.ts'
import { familiarReference, parseReference, withDefaultTag } from '../../store/reference.ts'
import type { Sandbox } from '../../store/unpack.ts'
import { unpackFilter } from '../../store/unpack-filter.ts'
import type { ImageSteps } from '../images-step.ts'
import { newId } from '../names.ts'
import type { Services } from '../services.ts'
import type { BuildRequest, Builds } from '../build-types.ts'
import type { Containers, Images, OnProgress } from '../types.ts'
import { BuildArgs } from './build-args.ts'
import { carryOut } from './builder.ts'
import { openContext } from './context.ts'
import { parseDockerfile, stagesFor, type Stage } from './dockerfile.ts'
import { outputTo, shortId, type Output } from './output.ts'
import { isStepOf, stepNames } from './step-names.ts'

export interface BuildRooms {
  readonly services: Services
  readonly containers: Containers
  readonly images: Images
  readonly steps: ImageSteps
}

export class BuildService implements Builds {
  readonly #rooms: BuildRooms
  readonly #folder: string

  constructor(rooms: BuildRooms) {
    this.#rooms = rooms
    this.#folder = join(rooms.services.settings.root, 'builds')
  }

  /** Removes what an engine that was killed left: its steps may still run. Wants to know all containers. */
  async open(): Promise<void> {
    const left = await readdir(this.#folder).catch(() => [])
    const { services, containers } = this.#rooms
    for (const { id, record } of [...services.containers.values()]) {
      if (!left.some((build) => isStepOf(build, record.name))) continue
      try {
        await containers.remove(id, { force: true, volumes: true, link: false })
      } catch (error) {
        // No reason to serve nobody.
        services.warn(`Removing ${record.name} of a build that was cut off failed: ${messageOf(error)}`)
      }
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  async prune(): Promise<{ reclaimed: number }> {
    this.#rooms.services.bus.emit('builder', 'prune', '', { reclaimed: '0' })
    return { reclaimed: 0 }
  }

  build(
    request: BuildRequest,
    onProgress: OnProgress,
    signal: AbortSignal,
    ready: () => Promise<void> = async () => undefined,
  ): Promise<string> {
    return this.#rooms.steps.building(async () => {
      const build = newId()
      const folder = join(this.#folder, build)
      await mkdir(join(folder, 'context'), { recursive: true, mode: 0o700 })
      const out = outputTo(onProgress, request.quiet, ready)
      try {
        return await this.#build(request, { folder, build }, out, signal)
      } catch (error) {
        out.failed()
        throw error
      } finally {
        await this.#rooms.services.trash.discard(folder)
      }
    })
  }

  async #build(
    request: BuildRequest,
    { folder, build }: { readonly folder: string; readonly build: string },
    out: Output,
    signal: AbortSignal,
  ): Promise<string> {
    const tags = request.tags.map(checkedTag)
    // Also where no step would find out.
    const { isolation = '' } = request.hostConfig
    await this.#rooms.services.levels.choose({ isolation, runtime: '' })
    const epoch = epochOf(request.buildArgs['SOURCE_DATE_EPOCH'])
    const sandbox: Sandbox = { core: this.#rooms.services.core, filter: unpackFilter() }
    const context = await openContext(sandbox, join(folder, 'context'), request, signal)
    const file = parseDockerfile(context.dockerfile)
    const stages = withLabels(stagesFor(file.stages, request.target), request.labels)
    const id = await carryOut(
      {
        ...this.#rooms,
        sandbox,
        request,
        context,
        escape: file.escape,
        args: new BuildArgs(request.buildArgs),
        folder,
        stepName: stepNames(build),
        out,
        signal,
        done: [],
        stages: stages.length,
        resolved: new Map(),
        epoch,
      },
      file,
      stages,
    )
    out.text(`Successfully built ${shortId(id)}\n`)
    this.#rooms.steps.tellBuilt(id)
    for (const tag of tags) {
      await this.#rooms.images.tag(id, tag)
      out.text(`Successfully tagged ${tag}\n`)
    }
    out.result(id)
    return id
  }
}

/** As people write it, with its tag. */
function checkedTag(text: string): string {
  const reference = parseReference(text)
  if (reference.digest !== undefined)
    throw new DewarError('invalid-argument', 'build tag cannot contain a digest')
  return familiarReference(withDefaultTag(reference))
}

/** `--build-arg SOURCE_DATE_EPOCH=seconds`, as reproducible-builds.org has it. Milliseconds. */
function epochOf(text: string | null | undefined): number | undefined {
  if (text === undefined || text === null || text === '') return undefined
  if (!/^\d{1,11}$/.test(text))
    throw new DewarError(
      'invalid-argument',
      `invalid SOURCE_DATE_EPOCH: ${JSON.stringify(text)} is no number of seconds`,
    )
  return Number(text) * 1000
}

/** `--label` is a LABEL at the end, one for each, in order of their names. */
function withLabels(stages: readonly Stage[], labels: Readonly<Record<string, string>>): readonly Stage[] {
  const last = stages.at(-1)
  if (last === undefined) return stages
  const added = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({
      instruction: { kind: 'label', pairs: [{ key, value }], literal: true } as const,
      code: `LABEL ${key}=${value}`,
    }))
  return stages.with(-1, { ...last, steps: [...last.steps, ...added] })
}
