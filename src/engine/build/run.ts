/** RUN. */
import { CLOCK_SLACK_MS, readLayer } from './layer.ts'
import { DewarError } from '../../base/errors.ts'
import { isMountDebris } from '../changes.ts'
import type { ImageConfig } from '../types.ts'
import { spoolOf, type Build } from './build.ts'
import { commandWords } from './configure.ts'
import { variablesOf } from './expand.ts'
import type { Instruction } from './instruction.ts'
import { shortId } from './output.ts'
import { runToEnd } from './run-step.ts'
import { addStep, fromCache, stepKey, type StageState } from './stage.ts'

type Run = Extract<Instruction, { kind: 'run' }>

export async function runStep(build: Build, state: StageState, run: Run, made: string[]): Promise<void> {
  refuseFlags(run.flags)
  const { config } = state
  const command = commandWords(run.command, config)
  const args = build.args.visible(variablesOf(config.env))
  const recorded = [...args]
    .filter(([name]) => build.args.isRecorded(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  const key = stepKey(build, state, ['run', ...command, ...recorded.flat()], config)
  if (fromCache(build, state, key)) return
  if (state.imageId === undefined)
    throw new DewarError(
      'invalid-argument',
      'RUN in a stage that begins with scratch needs files first: there is nothing to run',
      {
        remedy: 'COPY or ADD them before',
      },
    )
  const from = Date.now() - CLOCK_SLACK_MS
  const env = [...config.env, ...[...args].map(([name, value]) => `${name}=${value}`)]
  const id = await createFor(build, state.imageId, { ...config, env }, command)
  made.push(id)
  await runToEnd(build.containers, id, command, build.out, build.signal)
  const names = recorded.map(([name]) => name)
  // dockerd writes the values too, for everybody who has the image (docs/decisions/0085).
  const prefix = names.length === 0 ? [] : [`|${names.length}`, ...names]
  await keepRun(build, state, id, { config, key, createdBy: [...prefix, ...command].join(' '), from })
}

function refuseFlags(flags: ReadonlyMap<string, string>): void {
  for (const name of flags.keys()) {
    throw new DewarError(
      'invalid-argument',
      `the --${name} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled`,
    )
  }
}

async function createFor(
  build: Build,
  image: string,
  config: ImageConfig,
  command: readonly string[],
): Promise<string> {
  const { containers, request, out } = build
  const { id, warnings } = await containers.create({
    name: build.stepName(),
    // The image's health check is for those who run it.
    config: {
      image,
      env: config.env,
      cmd: command,
      entrypoint: [''],
      healthcheck: { test: ['NONE'] },
      user: config.user,
    },
    hostConfig: { ...request.hostConfig, logConfig: { type: 'json-file', config: {} } },
    endpoints: {},
  })
  for (const warning of warnings) out.text(` ---> [Warning] ${warning}\n`)
  out.text(` ---> Running in ${shortId(id)}\n`)
  return id
}

interface Ran {
  readonly config: ImageConfig
  readonly key: ReturnType<typeof stepKey>
  readonly createdBy: string
  readonly from: number
}

async function keepRun(build: Build, state: StageState, id: string, ran: Ran): Promise<void> {
  const container = build.services.containers.find(id)
  await using layer = await readLayer({
    sandbox: build.sandbox,
    upper: container.paths.upper,
    range: container.record.range,
    lower: container.record.lower,
    isDebris: (path, empty) => isMountDebris(path, empty, container),
    spool: spoolOf(build),
    times: { from: ran.from, to: build.epoch ?? state.created },
  })
  await addStep(build, state, { ...ran, layer })
}
