import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect, isRecord } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command } from '../command-spec.ts'
import { createBody } from '../create/create-body.ts'
import { CREATE_FLAGS } from '../create/flags.ts'
import { Failure } from '../failure.ts'
import { bool } from '../flags.ts'
import { parseImageName } from '../image-name.ts'
import { packageRoot } from '../package-root.ts'

/** `dewar plan`: what `run` with the same words would do, step by step, without doing it and without root. */
export const plan = command({
  name: 'plan',
  summary: 'Show step by step what making a container would do, without doing it',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  arity: atLeast(1),
  stopsAtWord: true,
  flags: { ...CREATE_FLAGS, json: bool('The plan as JSON: one object a step') },
  examples: [
    { command: 'dewar plan nginx', about: 'Every step from nothing to the running server' },
    {
      command: 'dewar plan --json -m 64m --network none busybox sh',
      about: 'For machines: compare two with diff',
    },
  ],
  run: async (flags, [image = '', ...args], cli) => {
    const body = createBody(flags, image, args, { cwd: process.cwd(), env: process.env })
    checkName(image)
    const known = await lookedUp(cli, image)
    if (known === undefined) {
      cli.warn(
        `${image} is not known here: the plan is that of an image of one layer without a configuration`,
      )
      // Without a command of the image's there must be one.
      if (args.length === 0 && !flags.given.has('entrypoint'))
        Object.assign(body, { Cmd: ['THE-COMMAND-OF-THE-IMAGE'] })
    }
    const program = join(packageRoot(), 'dist/src/daemon/plan-main.js')
    const child = spawn(process.execPath, [program, ...(flags.json ? ['--json'] : [])], { stdio: 'pipe' })
    child.stdin.end(JSON.stringify({ body, image: known }))
    const [out, complaint] = await Promise.all([text(child.stdout), text(child.stderr)])
    if (out === '') throw new Failure(complaint.trim() || 'planning failed: the planner said nothing', 125)
    cli.stdout.write(out)
  },
})

function checkName(image: string): void {
  if (/^[a-f0-9]{64}$/.test(image)) return
  try {
    parseImageName(image)
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error), 125, error)
  }
}

/** The image's configuration from the engine, when one answers that we may ask; an engine is not started for this. */
async function lookedUp(cli: Cli, image: string): Promise<{ config: unknown; layers: number } | undefined> {
  try {
    await using client = await connect({ socket: cli.place.host })
    const found: unknown = JSON.parse(await client.images.inspectRaw(image))
    if (!isRecord(found)) return undefined
    const layers = isRecord(found['RootFS']) ? found['RootFS']['Layers'] : undefined
    return { config: found['Config'], layers: Math.max(Array.isArray(layers) ? layers.length : 1, 1) }
  } catch {
    // Not allowed to ask, nobody there, or no such image: the caller says so.
    return undefined
  }
}
