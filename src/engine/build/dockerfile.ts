/** A whole Dockerfile: arguments before the first FROM, then stages. Pure. */
import { DewarError, messageOf } from '../../base/errors.ts'
import { readLines, type Line } from './dockerfile-lines.ts'
import { nameOf, parseFrom, parseInstruction, type From, type Step } from './instruction.ts'

export interface Stage {
  readonly from: From
  readonly steps: readonly Step[]
}

export interface Dockerfile {
  readonly escape: string
  readonly args: readonly Step[]
  readonly stages: readonly Stage[]
  readonly emptyContinuations: readonly string[]
}

/** Throws invalid-argument in dockerd's words, with the line where there is one. */
export function parseDockerfile(text: string): Dockerfile {
  const { lines, escape, emptyContinuations } = readLines(text)
  const args: Step[] = []
  const stages: { from: From; steps: Step[] }[] = []
  for (const line of lines) {
    if (nameOf(line.text).name === 'FROM') {
      stages.push({ from: located(line, () => parseFrom(line, escape)), steps: [] })
      continue
    }
    const step = located(line, () => parseInstruction(line, escape))
    const stage = stages.at(-1)
    if (stage !== undefined) stage.steps.push(step)
    else if (step.instruction.kind === 'arg') args.push(step)
    else throw new DewarError('invalid-argument', 'no build stage in current context')
  }
  if (stages.length === 0)
    throw new DewarError('invalid-argument', 'No image was generated. Is your Dockerfile empty?')
  return { escape, args, stages, emptyContinuations }
}

/** The trigger of an ONBUILD, when a stage begins with an image that has one. */
export function parseTrigger(text: string, escape: string): Step {
  const [line] = readLines(text).lines
  if (line === undefined)
    throw new DewarError('invalid-argument', 'onbuild trigger should be a single expression')
  return parseInstruction(line, escape)
}

function located<T>(line: Line, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    const message = messageOf(error)
    if (!(error instanceof DewarError) || message.startsWith('failed to parse Dockerfile')) throw error
    throw new DewarError('invalid-argument', `dockerfile parse error line ${line.number}: ${message}`, {
      cause: error,
    })
  }
}

/** The stages up to the target, by name or number; all without one. */
export function stagesFor(stages: readonly Stage[], target: string): readonly Stage[] {
  if (target === '') return stages
  const named = stages.findIndex(({ from }) => from.name !== '' && from.name === target.toLowerCase())
  const at = named >= 0 ? named : /^\d+$/.test(target) ? Number(target) : -1
  if (at < 0 || at >= stages.length)
    throw new DewarError('invalid-argument', `failed to reach build target ${target} in Dockerfile`)
  return stages.slice(0, at + 1)
}
