/** Images and containers as tar archives: save, load, import, export. */
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Cli } from '../cli.ts'
import { atLeast, between, command, exactly, none } from '../command-spec.ts'
import { errnoText, failedCall } from '../errno-text.ts'
import { Failure } from '../failure.ts'
import { bool, string, strings } from '../flags.ts'
import { showProgress } from '../progress.ts'

const OUTPUT = string('Write to a file, instead of STDOUT', { short: 'o' })
const SAVING = 'failed to save image'
const EXPORTING = 'failed to export container'
const PLATFORM = string('Only this platform of a multi-platform image (os/arch/variant)')

export const save = command({
  name: 'save',
  summary: 'Save one or more images to a tar archive (streamed to STDOUT by default)',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  arity: atLeast(1),
  flags: { output: OUTPUT, platform: PLATFORM },
  examples: [
    { command: 'dewar save nginx | gzip > nginx.tar.gz', about: 'Carry an image to another machine' },
  ],
  run: async (flags, names, cli) => {
    await checkOutput(flags.output, SAVING, cli)
    const client = await cli.client()
    const body = await client.images.save(names, flags.platform === '' ? {} : { platform: flags.platform })
    await writeTo(flags.output, body, SAVING, cli)
  },
})

export const exportCommand = command({
  name: 'export',
  summary: "Export a container's filesystem as a tar archive",
  usage: '[OPTIONS] CONTAINER',
  arity: exactly(1),
  flags: { output: OUTPUT },
  examples: [{ command: 'dewar export web | tar -t', about: 'All files that a container sees' }],
  run: async (flags, [name = ''], cli) => {
    await checkOutput(flags.output, EXPORTING, cli)
    const client = await cli.client()
    await writeTo(flags.output, await client.containers.export(name), EXPORTING, cli)
  },
})

export const load = command({
  name: 'load',
  summary: 'Load an image from a tar archive or STDIN',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    input: string('Read from tar archive file, instead of STDIN', { short: 'i' }),
    platform: PLATFORM,
    quiet: bool('Suppress the load output', { short: 'q' }),
  },
  examples: [{ command: 'dewar load -i nginx.tar', about: 'What `dewar save` wrote' }],
  run: async (flags, _args, cli) => {
    if (flags.input === '' && cli.stdin.isTTY)
      throw new Failure('requested load from stdin, but stdin is empty')
    const input = flags.input === '' ? cli.stdin : await readable(flags.input)
    const client = await cli.client()
    const quiet = flags.quiet || cli.stdout.isTTY !== true
    const platform = flags.platform === '' ? {} : { platform: flags.platform }
    await showProgress(client.images.load(input, { quiet, ...platform }), cli.stdout)
  },
})

export const importCommand = command({
  name: 'import',
  summary: 'Import the contents from a tarball to create a filesystem image',
  usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]',
  arity: between(1, 2),
  flags: {
    change: strings('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: string('Set commit message for imported image', { short: 'm' }),
    platform: string('Set platform if server is multi-platform capable'),
  },
  examples: [{ command: 'tar -C rootfs -c . | dewar import - mine:1', about: 'An image of a folder' }],
  run: async (flags, [source = '', repo = ''], cli) => {
    const remote = /^https?:\/\//.test(source)
    const body = remote ? {} : { body: source === '-' ? cli.stdin : await readable(source) }
    const client = await cli.client()
    await showProgress(
      client.images.import({
        source: remote ? source : '-',
        ...body,
        repo,
        ...(flags.message === '' ? {} : { message: flags.message }),
        ...(flags.platform === '' ? {} : { platform: flags.platform }),
        changes: flags.change,
      }),
      cli.stdout,
    )
  },
})

/** Before the engine is asked for anything. */
async function checkOutput(output: string, problem: string, cli: Cli): Promise<void> {
  if (output === '') {
    if (cli.stdout.isTTY)
      throw new Failure('cowardly refusing to save to a terminal. Use the -o flag or redirect')
    return
  }
  const folder = dirname(output)
  await stat(folder).catch((error: unknown) => {
    throw new Failure(`${problem}: invalid output path: ${failedCall(folder, error)}`)
  })
  const there = await stat(output).catch(() => undefined)
  if (there?.isDirectory() === true) throw new Failure(`${problem}: cannot write to a directory`)
}

async function readable(path: string): Promise<Readable> {
  const file = await open(path).catch((error: unknown) => {
    throw new Failure(`open ${path}: ${errnoText(error)}`)
  })
  await file.close()
  return createReadStream(path)
}

/** To stdout, or whole to a file: a cut stream leaves no half archive under the name. */
async function writeTo(output: string, body: Readable, problem: string, cli: Cli): Promise<void> {
  if (output === '') return pipeline(body, cli.stdout, { end: false })
  const temporary = `${output}.${process.pid}.part`
  try {
    await pipeline(body, createWriteStream(temporary, { mode: 0o600 }))
    await rename(temporary, output)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new Failure(`${problem}: ${error instanceof Error ? error.message : String(error)}`, 1, error)
  }
}
