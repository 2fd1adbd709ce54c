/** An engine of its own for a test, with an image `busybox` made from the host's program. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { Readable } from 'node:stream'
import { Engine } from '../../src/engine/engine.ts'
import type { ContainerConfig, EngineEvent, EngineOptions, HostConfig } from '../../src/index.ts'
import { findProgram, missing } from '../harness/requirement.ts'

export const skip = missing('busybox', 'tar')

const APPLETS =
  'sh ls true false sleep cat echo ps id mount touch hostname ip env head nc wget kill stty tty dd seq mkdir rm ln chown chmod grep stat readlink printf trap'

export interface Home extends AsyncDisposable {
  readonly options: EngineOptions
  open(): Promise<Rig>
}

/** Root and run folders of one engine after the other. */
export async function home(more: EngineOptions = {}): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'dwt-eng-'))
  const options = {
    root: join(folder, 'root'),
    run: join(folder, 'run'),
    // Of this process alone: the suites may run in two clones at once.
    bridge: `dwte${process.pid}`,
    subnet: `10.202.${process.pid % 256}.0/24`,
    ...more,
  }
  return {
    options,
    open: async () => new Rig(await Engine.open(options)),
    async [Symbol.asyncDispose]() {
      // Whatever a test left running ends with it, also when it failed.
      await using engine = await Engine.open(options)
      for (const { id } of await engine.containers.list(ALL)) {
        await engine.containers.remove(id, { force: true, volumes: true, link: false })
      }
      await engine[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

const ALL = { all: true, limit: 0, size: false, filters: new Map<string, string[]>() }

/** Folders with busybox in them, for files whose tests open engines of their own, one after the other. */
export function houseForAll(): () => Home {
  let opened: Home | undefined
  before(async () => {
    if (skip) return
    opened = await home()
    await using rig = await opened.open()
    await rig.importBusybox()
  })
  after(() => opened?.[Symbol.asyncDispose]())
  return () => {
    assert.ok(opened)
    return opened
  }
}

/** One engine with busybox for all tests of a file. */
export function rigForAll(more: EngineOptions = {}): { readonly house: () => Home; readonly rig: () => Rig } {
  let opened: { readonly house: Home; readonly rig: Rig } | undefined
  const given = (): NonNullable<typeof opened> => {
    assert.ok(opened)
    return opened
  }
  before(async () => {
    if (skip) return
    const house = await home(more)
    opened = { house, rig: await house.open() }
    await opened.rig.importBusybox()
  })
  after(async () => {
    await opened?.rig[Symbol.asyncDispose]()
    await opened?.house[Symbol.asyncDispose]()
  })
  return { house: () => given().house, rig: () => given().rig }
}

export interface Over {
  readonly id: string
  readonly code: number
  readonly output: string
}

/** An engine with short words for what tests do most. */
export class Rig implements AsyncDisposable {
  readonly engine: Engine

  constructor(engine: Engine) {
    this.engine = engine
  }

  async importBusybox(): Promise<void> {
    const tar = await busyboxTar()
    await this.engine.images.import(Readable.from([tar]), {
      reference: 'busybox',
      changes: ['CMD ["sh"]', 'ENV PATH=/bin'],
      onProgress: () => undefined,
    })
  }

  async create(
    config: Partial<ContainerConfig>,
    hostConfig: Partial<HostConfig> = {},
    name?: string,
  ): Promise<string> {
    const request = {
      config: { image: 'busybox', ...config },
      hostConfig: { networkMode: 'none', ...hostConfig },
      endpoints: {},
    }
    const { id } = await this.engine.containers.create(name === undefined ? request : { ...request, name })
    return id
  }

  /** Creates and starts it. */
  async run(cmd: readonly string[], hostConfig: Partial<HostConfig> = {}, name?: string): Promise<string> {
    const id = await this.create({ cmd }, hostConfig, name)
    await this.engine.containers.start(id)
    return id
  }

  /** Runs it to its end. */
  async finish(
    config: Partial<ContainerConfig> & { readonly cmd: readonly string[] },
    hostConfig: Partial<HostConfig> = {},
  ): Promise<Over> {
    const id = await this.create(config, hostConfig)
    const over = await this.engine.containers.wait(id, 'next-exit')
    await this.engine.containers.start(id)
    const { code } = await over.result
    return { id, code, output: await this.logs(id) }
  }

  async logs(id: string, follow = false): Promise<string> {
    const request = {
      follow,
      stdout: true,
      stderr: true,
      since: 0,
      until: 0,
      timestamps: false,
      details: false,
      tail: -1,
    }
    const { stream, tty } = await this.engine.containers.logs(id, request, new AbortController().signal)
    return tty ? text(stream) : unframed(stream)
  }

  async exec(
    id: string,
    cmd: readonly string[],
    change: object = {},
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    const config = {
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      tty: false,
      env: null,
      privileged: false,
      user: '',
      workingDir: '',
    }
    const exec = await this.engine.execs.create(id, { ...config, cmd, ...change })
    const { stream } = await this.engine.execs.start(exec, { detach: false, tty: false })
    if (stream === undefined) throw new Error('exec gave no stream')
    const output = await unframed(stream)
    return { code: await this.execCode(exec), output }
  }

  /** The exit follows the end of the output. */
  async execCode(exec: string): Promise<number | null> {
    for (;;) {
      const { running, exitCode } = await this.engine.execs.inspect(exec)
      if (!running) return exitCode
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** Events from now on, as they come. */
  record(): { readonly seen: EngineEvent[]; stop(): void } {
    const seen: EngineEvent[] = []
    const abort = new AbortController()
    const events = this.engine.events({ filters: new Map(), signal: abort.signal })
    void (async () => {
      for await (const event of events) seen.push(event)
    })()
    return { seen, stop: () => abort.abort() }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]()
  }
}

export async function text(stream: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = []
  for await (const chunk of stream) parts.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)))
  return Buffer.concat(parts).toString()
}

/** Both streams' text, without the frames' headers. */
export async function unframed(stream: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = []
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) parts.push(chunk)
  const whole = Buffer.concat(parts)
  let out = ''
  for (let at = 0; at + 8 <= whole.length; at += 8 + whole.readUInt32BE(at + 4)) {
    out += whole.toString('utf8', at + 8, at + 8 + whole.readUInt32BE(at + 4))
  }
  return out
}

let made: Promise<Buffer> | undefined

export function busyboxTar(): Promise<Buffer> {
  made ??= makeTar()
  return made
}

async function makeTar(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'dwt-eng-image-'))
  try {
    for (const name of ['bin', 'etc', 'root', 'tmp', 'srv']) await mkdir(join(folder, name))
    await copyFile(findProgram('busybox') ?? '', join(folder, 'bin/busybox'))
    for (const applet of APPLETS.split(' ')) await symlink('busybox', join(folder, 'bin', applet))
    await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n')
    await writeFile(join(folder, 'etc/group'), 'root:x:0:\nweb:x:33:\naudio:x:29:web\n')
    await chmod(join(folder, 'tmp'), 0o1777)
    return execFileSync('tar', ['-C', folder, '--owner=0', '--group=0', '--numeric-owner', '-cf', '-', '.'], {
      maxBuffer: 64 * 1024 * 1024,
    })
  } finally {
    await rm(folder, { recursive: true })
  }
}
