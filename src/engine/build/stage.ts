/** What a stage has come to, and how a step becomes its next image. */
import { DewarError } from '../../base/errors.ts'
import { digestOf, type Digest } from '../../store/digest.ts'
import { EMPTY_CONFIG } from '../images-changes.ts'
import type { BaseImage } from '../images-step.ts'
import { newId } from '../names.ts'
import type { ImageConfig } from '../types.ts'
import type { Build } from './build.ts'
import { shellOf } from './configure.ts'
import type { Layer } from './layer.ts'
import { shortId } from './output.ts'

export interface StageState {
  /** None yet: `FROM scratch`. */
  imageId: Digest | undefined
  config: ImageConfig
  cmdSet: boolean
  author: string
  /** Milliseconds: what the image says. */
  created: number
  /** A step was not found in the cache: those after it are not looked for. */
  busted: boolean
}

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function stageFrom(base: BaseImage | undefined): StageState {
  const config = base?.config ?? EMPTY_CONFIG
  const env = config.env.some((entry) => entry.startsWith('PATH=')) ? config.env : [...config.env, PATH]
  return {
    imageId: base?.id,
    config: { ...config, env },
    cmdSet: false,
    author: '',
    created: base?.created ?? 0,
    busted: false,
  }
}

/** The command of a step that runs nothing, as dockerd writes it. */
export function nopCommand(config: ImageConfig, comment: string): string[] {
  return [...shellOf(config), `#(nop) ${comment}`]
}

/** `what`: everything the answer depends on beside the image below and its configuration. */
export function stepKey(
  build: Build,
  state: StageState,
  what: readonly string[],
  config: ImageConfig,
): Digest {
  const { epoch, request } = build
  const platform = state.imageId === undefined ? request.platform : ''
  return digestOf(JSON.stringify([2, state.imageId ?? '', what, sorted(config), platform, epoch ?? null]))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([key, item]) => [key, sorted(item)])
}

/** Takes the image of an earlier build for the step, if there is one. */
export function fromCache(build: Build, state: StageState, key: Digest): boolean {
  if (build.request.noCache || state.busted) return false
  const found = build.steps.cached(key)
  if (found === undefined || !allowed(build, found)) {
    state.busted = true
    return false
  }
  build.out.text(' ---> Using cache\n')
  state.imageId = found
  state.created = build.steps.base(found).created
  return true
}

/** With --cache-from only what those images were built from counts. */
function allowed({ request, steps }: Build, found: Digest): boolean {
  if (request.cacheFrom.length === 0) return true
  const ends = request.cacheFrom.flatMap((ref) => steps.find(ref) ?? [])
  return ends.some((end) => steps.leadsTo(found, end))
}

export interface NextImage {
  readonly config: ImageConfig
  readonly createdBy: string
  readonly key: Digest
  readonly layer?: Layer | undefined
}

export async function addStep(build: Build, state: StageState, next: NextImage): Promise<void> {
  const { layer, key, createdBy, config } = next
  const created = build.epoch ?? Math.max(state.created, layer?.newest ?? 0)
  const { platform } = build.request
  state.imageId = await build.steps.add({
    parent: state.imageId,
    ...(layer === undefined ? {} : { layer: layer.tar }),
    config,
    createdBy,
    author: state.author,
    created: () => created,
    key,
    platform: platform === '' ? undefined : platform,
  })
  state.config = config
  state.created = created
}

export interface Written {
  readonly config: ImageConfig
  readonly comment: string
  readonly cmdSet: boolean
  readonly author: string
  /** Gets the container's id that clients are told of. */
  readonly made: string[]
}

/** A step that changes the configuration alone. */
export async function keep(build: Build, state: StageState, written: Written): Promise<void> {
  const { config, comment, author } = written
  // Two words, as dockerd's containers show.
  const command = [...nopCommand(config, ''), comment]
  state.author = author
  const key = stepKey(build, state, ['nop', comment, author], config)
  const hit = fromCache(build, state, key)
  state.config = config
  state.cmdSet = written.cmdSet
  if (hit) return
  if (state.imageId === undefined && build.request.platform.startsWith('windows'))
    throw new DewarError('invalid-argument', 'Windows does not support FROM scratch')
  const id = await nopContainer(build, state, command)
  written.made.push(id)
  await addStep(build, state, { config, createdBy: command.join(' '), key })
}

/**
 * dockerd makes a container for each step, runs nothing in it and removes it. Nobody can do anything with it, so there
 * is only its name, unless the client asks to keep them.
 */
export async function nopContainer(
  build: Build,
  state: StageState,
  command: readonly string[],
): Promise<string> {
  const { request, containers, out } = build
  const wanted = !request.remove && !request.forceRemove && state.imageId !== undefined
  const id = wanted
    ? (
        await containers.create({
          name: build.stepName(),
          config: { image: state.imageId ?? '', cmd: command, entrypoint: [''] },
          hostConfig: request.hostConfig,
          endpoints: {},
        })
      ).id
    : newId()
  out.text(` ---> Running in ${shortId(id)}\n`)
  return id
}
