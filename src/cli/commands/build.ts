import { rm, writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Progress } from '../../client/connect.ts'
import { contextOf } from '../build/context.ts'
import { cloneContext, dockerfileIn, isGitUrl } from '../build/remote-context.ts'
import type { Cli } from '../cli.ts'
import { command, exactly } from '../command-spec.ts'
import { findAllAuths, readConfig } from '../config-file.ts'
import { toMap } from '../create/environment.ts'
import { extraHostWord, labelWord, parseMemorySwap, parseUlimit, type Ulimit } from '../create/words.ts'
import { Failure } from '../failure.ts'
import { bool, bytes, custom, integer, string, strings } from '../flags.ts'
import { parseImageName } from '../image-name.ts'
import { showProgress } from '../progress.ts'
import { decimalSize } from '../text/size.ts'

const FLAGS = {
  'add-host': strings('Add a custom host-to-IP mapping ("host:ip")', { check: extraHostWord }),
  'build-arg': strings('Set build-time variables'),
  'cache-from': strings('Images to consider as cache sources'),
  'cgroup-parent': string('Set the parent cgroup for the "RUN" instructions during build'),
  compress: bool('Accepted for docker; has no effect', { hidden: true }),
  'cpu-period': integer('Limit the CPU CFS (Completely Fair Scheduler) period'),
  'cpu-quota': integer('Limit the CPU CFS (Completely Fair Scheduler) quota'),
  'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
  'cpuset-cpus': string('CPUs in which to allow execution ("0-3", "0,1")'),
  'cpuset-mems': string('MEMs in which to allow execution ("0-3", "0,1")'),
  'disable-content-trust': bool('Accepted for docker; has no effect', { initial: true, hidden: true }),
  file: string('Name of the Dockerfile (Default is "PATH/Dockerfile")', { short: 'f' }),
  'force-rm': bool('Always remove intermediate containers'),
  iidfile: string('Write the image ID to the file'),
  isolation: string('Container isolation level'),
  label: strings('Set metadata for an image', { check: labelWord }),
  memory: bytes('Memory limit', { short: 'm' }),
  'memory-swap': custom(
    'Swap limit equal to memory plus swap: -1 to enable unlimited swap',
    0,
    parseMemorySwap,
    {
      value: 'bytes',
    },
  ),
  network: string('Set the networking mode for the RUN instructions during build', { initial: 'default' }),
  'no-cache': bool('Do not use cache when building the image'),
  platform: string('Set platform if server is multi-platform capable'),
  pull: bool('Always attempt to pull a newer version of the image'),
  quiet: bool('Suppress the build output and print image ID on success', { short: 'q' }),
  rm: bool('Remove intermediate containers after a successful build', { initial: true }),
  'security-opt': strings('Security options'),
  'shm-size': bytes('Size of "/dev/shm"'),
  squash: bool('Squash newly built layers into a single new layer', { hidden: true }),
  tag: strings('Name and optionally a tag in the "name:tag" format', { short: 't', check: tagWord }),
  target: string('Set the target build stage to build.'),
  ulimit: custom<readonly Ulimit[]>('Ulimit options', [], (word, all) => [...all, parseUlimit(word)], {
    value: 'ulimit',
  }),
}

export const build = command({
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH | URL | -',
  arity: exactly(1),
  flags: FLAGS,
  examples: [
    { command: 'dewar build -t shop .', about: 'What the Dockerfile of this folder says, called shop' },
    { command: 'dewar build --target test --build-arg V=2 .', about: 'Up to one stage, with an argument' },
    { command: 'dewar build - < Dockerfile', about: 'Without files' },
  ],
  run: async (flags, [path = ''], cli) => {
    if (flags.squash)
      throw new Failure('"--squash" is only supported on a Docker daemon with experimental features enabled')
    await using clone = isGitUrl(path) ? await cloneContext(path) : undefined
    if (flags.iidfile !== '') await rm(flags.iidfile, { force: true })
    const isInside = clone !== undefined && flags.file !== '-'
    const file = isInside ? await dockerfileIn(clone.folder, flags.file) : flags.file
    const context = await contextOf(clone?.folder ?? path, file, cli.stdin)
    const client = await cli.client()
    const state = { id: '', code: 1 }
    const lines = client.images.build({
      context: flags.quiet ? context.tar : counted(context.tar, cli),
      query: { ...queryOf(flags), dockerfile: context.dockerfile },
      auths: await findAllAuths(await readConfig(cli.configFolder)),
    })
    // What a quiet build says beside its id is why it failed.
    await show(noting(lines, state, flags.quiet), state, flags.quiet ? cli.stderr : cli.stdout)
    if (flags.quiet) cli.stdout.write(`${state.id}\n`)
    if (flags.iidfile !== '') await writeFile(flags.iidfile, state.id)
  },
})

type Flags = { readonly [K in keyof typeof FLAGS]: (typeof FLAGS)[K]['initial'] }

function queryOf(flags: Flags): Record<string, string | number | boolean | readonly string[] | undefined> {
  const some = (value: number): number | undefined => (value === 0 ? undefined : value)
  const text = (value: string): string | undefined => (value === '' ? undefined : value)
  const list = (value: object): string | undefined =>
    Object.keys(value).length === 0 ? undefined : JSON.stringify(value)
  return {
    t: flags.tag,
    q: flags.quiet,
    nocache: flags['no-cache'],
    rm: flags.rm ? '1' : '0',
    forcerm: flags['force-rm'],
    pull: flags.pull ? '1' : undefined,
    buildargs: list(argsOf(flags['build-arg'])),
    labels: list(toMap(flags.label)),
    cachefrom: list(flags['cache-from']),
    ulimits: list(flags.ulimit),
    extrahosts: flags['add-host'].length === 0 ? undefined : flags['add-host'].join(','),
    securityopt: flags['security-opt'],
    target: text(flags.target),
    platform: text(flags.platform),
    networkmode: flags.network,
    isolation: text(flags.isolation),
    cgroupparent: text(flags['cgroup-parent']),
    cpusetcpus: text(flags['cpuset-cpus']),
    cpusetmems: text(flags['cpuset-mems']),
    cpushares: some(flags['cpu-shares']),
    cpuperiod: some(flags['cpu-period']),
    cpuquota: some(flags['cpu-quota']),
    memory: some(flags.memory),
    memswap: some(flags['memory-swap']),
    shmsize: some(flags['shm-size']),
  }
}

/** A name alone takes this environment's value; without one it is told to be there without. */
function argsOf(words: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf('=')
      return equals < 0 ? [word, process.env[word] ?? null] : [word.slice(0, equals), word.slice(equals + 1)]
    }),
  )
}

function tagWord(word: string): string {
  parseImageName(word)
  return word
}

/** Says how much was sent once it was. */
function counted(tar: Readable, cli: Cli): Readable {
  async function* passing(): AsyncGenerator<Buffer> {
    let size = 0
    for await (const chunk of tar) {
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
      size += bytes.length
      yield bytes
    }
    cli.stdout.write(`Sending build context to Docker daemon  ${decimalSize(size)}\r\r\n`)
  }
  return Readable.from(passing(), { objectMode: false })
}

async function* noting(
  lines: AsyncIterable<Progress>,
  state: { id: string; code: number },
  quiet: boolean,
): AsyncGenerator<Progress> {
  for await (const line of lines) {
    const code = line.errorDetail?.code ?? 0
    if (code > 0) state.code = code
    const isId = quiet && /^sha256:[0-9a-f]{64}\n?$/.test(line.stream)
    if (isId) state.id = line.stream.trim()
    else yield line
  }
}

async function show(
  lines: AsyncIterable<Progress>,
  state: { id: string; code: number },
  stream: NodeJS.WriteStream,
): Promise<void> {
  const onAux = (aux: unknown): void => {
    const id: unknown = typeof aux === 'object' && aux !== null && 'ID' in aux ? aux.ID : undefined
    if (typeof id === 'string') state.id = id
  }
  try {
    await showProgress(lines, stream, onAux)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw state.code === 1 ? error : new Failure(message, state.code, error)
  }
}
