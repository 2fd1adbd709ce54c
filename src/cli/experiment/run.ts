/** The experiment from its beginning to its end. Works through the Engine API and the host's tools, nothing else. */
import { randomBytes } from 'node:crypto'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { DewarError, messageOf } from '../../base/errors.ts'
import type { Client } from '../../client/connect.ts'
import { connect, demultiplex } from '../../client/connect.ts'
import { chooseImage } from './choose-image.ts'
import type { ChosenImage } from './choose-image.ts'
import { freePort } from './free-address.ts'
import { environmentOf, findOnHost, processesFrom } from './host-search.ts'
import { startOwnEngine } from './own-engine.ts'
import { paintFor } from './paint.ts'
import type { Findings } from './story.ts'
import { Story } from './story.ts'

export interface ExperimentOptions {
  readonly out: Writable
  readonly coloured: boolean
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  /** Another engine to try it on (unix:///var/run/docker.sock); undefined: an own one, started and removed. */
  readonly host?: string
  /** The first port to try; the next free one is taken when it is in use. */
  readonly port?: number
}

const SECRET_NAME = 'EXPERIMENT_SECRET'
const PAGE_MS = 10_000

/** Resolves when all is shown and removed. Throws DewarError, ClientError, or the signal's reason. */
export async function runExperiment(options: ExperimentOptions): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new DewarError(
      'forbidden',
      'the experiment looks at the host as its root would, and you are not root',
      {
        remedy: 'run it with sudo',
      },
    )
  }
  const story = new Story(options.out, paintFor(options.coloured), options.signal)
  story.title()
  await tell(options, story)
  story.farewell(
    options.host === undefined
      ? 'Removed: the container, its image and the engine.'
      : 'Removed: the container.',
  )
}

/** When it returns or throws, the container and the engine are gone. */
async function tell(options: ExperimentOptions, story: Story): Promise<void> {
  const { env, signal } = options
  await using engine = await beginWith(options, story)
  const image = await story.step(
    'an image',
    () => chooseImage(engine.client, env, signal),
    ({ how }) => how,
  )
  if (image.instead !== undefined) story.note(`(${image.instead}, so an image is made on the spot)`)
  await using server = await startServer(engine.client, image, options, story)
  const findings = await leaveTraceAndSearch(engine, server.id, story, signal)
  story.findings(findings)
  story.explanation(findings)
}

interface Engine extends AsyncDisposable {
  readonly client: Client
  /** Where it keeps its files. */
  readonly folder: string
}

async function beginWith(options: ExperimentOptions, story: Story): Promise<Engine> {
  const { host } = options
  if (host === undefined) {
    return story.step(
      'an engine of its own',
      () => startOwnEngine(options.env, options.signal),
      ({ folder, bridge, subnet }) => `in ${folder}, bridge ${bridge}, ${subnet}`,
    )
  }
  const client = await connect({ socket: host })
  const { DockerRootDir: folder } = await client.system.info()
  return { client, folder, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
}

interface Server extends AsyncDisposable {
  readonly id: string
}

async function startServer(
  client: Client,
  image: ChosenImage,
  options: ExperimentOptions,
  story: Story,
): Promise<Server> {
  const { signal } = options
  const wanted = options.port ?? 8080
  const port = await freePort(wanted)
  const id = await create(client, image, port)
  const remove = async (): Promise<void> => client.containers.remove(id, { force: true, volumes: true })
  const url = `http://127.0.0.1:${port}/`
  const other = port === wanted ? '' : ` (${wanted} is in use, ${port} is the next free port)`
  try {
    await story.step(
      'a web server in a container',
      () => client.containers.start(id),
      () => `run -d -p ${port}:80 ${image.reference}${other}`,
    )
    await story.step(
      'its page, through the port',
      () => fetchPage(client, id, url, signal),
      (title) => `${url} says "${title}"`,
    )
  } catch (error) {
    await remove()
    throw error
  }
  return { id, [Symbol.asyncDispose]: remove }
}

async function create(client: Client, image: ChosenImage, port: number): Promise<string> {
  const body = {
    Image: image.reference,
    Env: [`${SECRET_NAME}=${randomBytes(6).toString('hex')}`],
    ExposedPorts: { '80/tcp': {} },
    Labels: { 'dewar.experiment': 'true' },
    HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: String(port) }] } },
  }
  const { Id } = await client.containers.create(body, {
    name: `dewar-experiment-${randomBytes(3).toString('hex')}`,
  })
  return Id
}

/** The page's title. The server needs a moment after `start`; a connection refused is tried again while it runs. */
async function fetchPage(client: Client, id: string, url: string, signal: AbortSignal): Promise<string> {
  const deadline = Date.now() + PAGE_MS
  for (;;) {
    const answer = await fetchTitle(url, signal).catch((error: unknown) => ({ error }))
    if (typeof answer === 'string') return answer
    signal.throwIfAborted()
    const { State } = await client.containers.inspect(id)
    if (!State.Running || Date.now() > deadline) {
      const log = await lastOutput(client, id)
      throw new DewarError(
        'unavailable',
        `fetching ${url} failed: ${messageOf(answer.error)}; the container said: ${log}`,
      )
    }
    await sleep(20)
  }
}

async function fetchTitle(url: string, signal: AbortSignal): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // No agent: a connection kept open would keep the container's port busy.
    const request = get(url, { agent: false, signal, timeout: 2000 }, resolve)
    request.on('timeout', () => request.destroy(new Error('no answer within 2 s'))).on('error', reject)
  })
  const page = await text(response)
  if (response.statusCode !== 200) throw new Error(`HTTP status ${response.statusCode}`)
  return /<title>(.*?)<\/title>/s.exec(page)?.[1] ?? 'a page without a title'
}

async function lastOutput(client: Client, id: string): Promise<string> {
  const log = await client.containers.logs(id, { stdout: true, stderr: true, tail: '5' })
  const merged = new PassThrough()
  const reading = text(merged)
  await demultiplex(log, merged, merged)
  merged.end()
  return (await reading).trim() || 'nothing'
}

async function leaveTraceAndSearch(
  engine: Engine,
  id: string,
  story: Story,
  signal: AbortSignal,
): Promise<Findings> {
  const { client } = engine
  const name = `secret-${randomBytes(6).toString('hex')}`
  const secret = randomBytes(6).toString('hex')
  const insidePath = `/root/${name}`
  await story.step(
    'exec: a file with a random name',
    () => execute(client, id, ['sh', '-c', `echo ${secret} > ${insidePath}`]),
    () => `echo … > ${insidePath}`,
  )
  const uid = await execute(client, id, ['sh', '-c', 'id -u'])
  const processes = await execute(client, id, ['sh', '-c', 'set -- /proc/[0-9]*; echo $(($# - 1))'])
  const { State } = await client.containers.inspect(id)
  return story.step(
    'a search of the host, as its root',
    async () => ({
      secret,
      search: await findOnHost(name, engine.folder, signal),
      listing: await processesFrom(State.Pid, signal),
      environment: { pid: State.Pid, value: await environmentOf(State.Pid, SECRET_NAME) },
      inside: { uid, processes },
    }),
    tellFound,
  )
}

function tellFound({ search, listing, environment }: Findings): string {
  const count = (number: number, one: string, many: string): string =>
    `${number} ${number === 1 ? one : many}`
  const secret = environment.value === undefined ? 'no secret' : 'a secret'
  const { files } = search
  const { processes } = listing
  return `found ${count(files.length, 'file', 'files')}, ${count(processes.length, 'process', 'processes')}, ${secret}`
}

/** Runs a command in the container; gives what it printed. Throws system when it ends with another code than 0. */
async function execute(client: Client, id: string, command: readonly string[]): Promise<string> {
  const exec = await client.execs.create(id, { Cmd: command, AttachStdout: true, AttachStderr: true })
  const stream = await client.execs.attach(exec, { Tty: false })
  const merged = new PassThrough()
  const reading = text(merged)
  await demultiplex(stream, merged, merged)
  merged.end()
  const output = (await reading).trim()
  const { ExitCode } = await client.execs.inspect(exec)
  if (ExitCode !== 0)
    throw new DewarError('system', `exec of ${command.join(' ')} ended with ${ExitCode}: ${output}`)
  return output
}
