/**
 * One build, step by step, in the order and the words of dockerd's classic builder (moby builder/dockerfile): each
 * step is looked for in the cache, else carried out and kept as an image.
 */
import { DewarError, messageOf } from '../../base/errors.ts'
import type { Digest } from '../../store/digest.ts'
import type { Build } from './build.ts'
import { configure } from './configure.ts'
import { copyStep } from './copy-step.ts'
import { parseTrigger, type Dockerfile, type Stage } from './dockerfile.ts'
import { expandInstruction } from './expand-instruction.ts'
import { expandWord, variablesOf } from './expand.ts'
import { fromImage } from './from-step.ts'
import type { Step } from './instruction.ts'
import { shortId, type Output } from './output.ts'
import { runStep } from './run.ts'
import { keep, stageFrom, type StageState } from './stage.ts'
import { workdirStep } from './workdir-step.ts'

/** Resolves with the last stage's image. */
export async function carryOut(build: Build, file: Dockerfile, stages: readonly Stage[]): Promise<Digest> {
  const counter = new Counter(
    build.out,
    file.args.length + stages.reduce((sum, { steps }) => sum + 1 + steps.length, 0),
  )
  warnOfEmptyLines(build, file.emptyContinuations)
  for (const step of file.args) {
    counter.next(step.code)
    declareGlobals(build, step)
  }
  let last: StageState | undefined
  for (const stage of stages) last = await carryOutStage(build, stage, counter)
  warnOfUnusedArgs(build)
  if (last?.imageId === undefined)
    throw new DewarError('invalid-argument', 'No image was generated. Is your Dockerfile empty?')
  return last.imageId
}

class Counter {
  readonly #out: Output
  readonly #total: number
  #at = 0

  constructor(out: Output, total: number) {
    this.#out = out
    this.#total = total
  }

  next(code: string): void {
    this.#at += 1
    this.#out.text(`Step ${this.#at}/${this.#total} : ${code}`)
    this.#out.text('\n')
  }
}

function warnOfEmptyLines({ out }: Build, lines: readonly string[]): void {
  if (lines.length === 0) return
  const warnings = lines.map((line) => `[WARNING]: Empty continuation line found in:\n    ${line}`)
  out.error(
    `${[...warnings, '[WARNING]: Empty continuation lines will become errors in a future release.'].join('\n')}\n`,
  )
}

function warnOfUnusedArgs({ args, out }: Build): void {
  const unused = args.unused()
  if (unused.length > 0)
    out.text(`[Warning] One or more build-args [${unused.join(' ')}] were not consumed\n`)
}

function declareGlobals(build: Build, step: Step): void {
  if (step.instruction.kind !== 'arg') return
  for (const { key, value } of step.instruction.args) {
    const variables = build.args.globals
    const name = expandWord(key, variables, build.escape)
    build.args.declareGlobal(
      name,
      value === undefined ? undefined : expandWord(value, variables, build.escape),
    )
  }
}

async function carryOutStage(build: Build, stage: Stage, counter: Counter): Promise<StageState> {
  const { from } = stage
  if (from.name !== '' && build.done.some(({ name }) => name === from.name)) {
    throw new DewarError('invalid-argument', `${from.name} stage name already used`)
  }
  counter.next(from.code)
  build.args.beginStage()
  const state = stageFrom(await fromImage(build, from))
  await runTriggers(build, state)
  tellImage(build, state)
  for (const step of stage.steps) {
    build.signal.throwIfAborted()
    counter.next(step.code)
    await carryOutStep(build, state, step)
    tellImage(build, state)
  }
  if (state.imageId !== undefined) build.out.image(state.imageId)
  build.done.push({ name: from.name, imageId: state.imageId })
  return state
}

function tellImage({ out }: Build, { imageId }: StageState): void {
  out.text(` ---> ${shortId(imageId ?? '')}\n`)
}

/** ONBUILD of the image that the stage begins with. */
async function runTriggers(build: Build, state: StageState): Promise<void> {
  const triggers = state.config.onBuild ?? []
  if (triggers.length === 0) return
  state.config = { ...state.config, onBuild: null }
  build.out.text(`# Executing ${triggers.length} build trigger${triggers.length > 1 ? 's' : ''}\n`)
  for (const trigger of triggers) await carryOutStep(build, state, parseTrigger(trigger, build.escape))
}

async function carryOutStep(build: Build, state: StageState, step: Step): Promise<void> {
  const made: string[] = []
  try {
    await dispatch(build, state, step, made)
  } catch (error) {
    // Whoever left cannot look at what is left, as for dockerd.
    if (build.request.forceRemove || build.signal.aborted) await removeAll(build, made)
    throw error
  }
  if (build.request.remove || build.request.forceRemove) await removeAll(build, made)
}

/** `made` gets the containers that the step makes. */
async function dispatch(build: Build, state: StageState, step: Step, made: string[]): Promise<void> {
  const env = variablesOf(state.config.env)
  const variables = new Map([...build.args.visible(env), ...env])
  const instruction = expandInstruction(step.instruction, variables, build.escape)
  switch (instruction.kind) {
    case 'run':
      return runStep(build, state, instruction, made)
    case 'copy':
    case 'add':
      return copyStep(build, state, instruction)
    case 'workdir':
      return workdirStep(build, state, instruction.value, made)
    default: {
      // What the history says of an ARG is what the Dockerfile says: never what a client gave.
      const written = configure(step.instruction.kind === 'arg' ? step.instruction : instruction, state)
      if (instruction.kind === 'arg')
        for (const { key, value } of instruction.args) build.args.declare(key, value)
      if (written.note !== undefined) build.out.text(written.note)
      await keep(build, state, { ...written, made })
    }
  }
}

/** A name without a container stands for one that was not needed. */
async function removeAll(build: Build, made: readonly string[]): Promise<void> {
  for (const id of made) {
    if (build.services.containers.byId(id) !== undefined) {
      try {
        await build.containers.remove(id, { force: true, volumes: true, link: false })
      } catch (error) {
        build.out.text(`Error removing intermediate container ${shortId(id)}: ${messageOf(error)}\n`)
        continue
      }
    }
    build.out.text(`Removing intermediate container ${shortId(id)}\n`)
  }
}
