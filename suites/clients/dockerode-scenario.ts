/** What programs do with dockerode, its streams demultiplexed. Run by dockerode.test.ts, with DOCKER_HOST set. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import Docker from 'dockerode'
import { extract, pack } from 'tar-stream'

const docker = new Docker()
const image = `${process.env['REGISTRY'] ?? ''}/busybox:latest`

before(async () => {
  const progress = await docker.pull(image)
  const seen = await new Promise<readonly { readonly status?: string }[]>((resolve, reject) =>
    docker.modem.followProgress(progress, (error, output) =>
      error === null ? resolve(output) : reject(error),
    ),
  )
  assert.match(seen.at(-1)?.status ?? '', /^Status: (Downloaded newer image|Image is up to date) for /)
})

after(async () => {
  for (const { Id } of await docker.listContainers({ all: true }))
    await docker.getContainer(Id).remove({ force: true, v: true })
})

/** A running container that a test may do with as it likes. */
async function sleeper(more: Docker.ContainerCreateOptions = {}): Promise<Docker.Container> {
  const container = await docker.createContainer({ Image: image, Cmd: ['sleep', '600'], ...more })
  await container.start()
  return container
}

/** Both outputs of a multiplexed stream, once it has ended. */
async function demultiplexed(stream: NodeJS.ReadableStream): Promise<{ stdout: string; stderr: string }> {
  const outputs = { stdout: new PassThrough(), stderr: new PassThrough() }
  docker.modem.demuxStream(stream, outputs.stdout, outputs.stderr)
  const both = Promise.all([text(outputs.stdout), text(outputs.stderr)])
  stream.on('end', () => Object.values(outputs).forEach((output) => output.end()))
  const [stdout, stderr] = await both
  return { stdout, stderr }
}

test('run gives output and exit code', async () => {
  const [out, err] = [new PassThrough(), new PassThrough()]
  const said = Promise.all([text(out), text(err)])
  const script = 'echo out; echo err >&2; exit 3'
  const [result, container] = (await docker.run(image, ['sh', '-c', script], [out, err], { Tty: false })) as [
    { readonly StatusCode: number },
    Docker.Container,
  ]
  assert.equal(result.StatusCode, 3)
  for (const output of [out, err]) output.end()
  assert.deepEqual(await said, ['out\n', 'err\n'])
  await container.remove()
})

test('attach carries input in and both outputs back', async () => {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['sh', '-c', 'cat; echo bye >&2'],
    AttachStdin: true,
    OpenStdin: true,
    StdinOnce: true,
  })
  const stream = await container.attach({
    stream: true,
    hijack: true,
    stdin: true,
    stdout: true,
    stderr: true,
  })
  const outputs = demultiplexed(stream)
  // Not the default, which is met by a container that has not started yet.
  const ended = container.wait({ condition: 'next-exit' })
  await container.start()
  stream.end('line one\nline two\n')
  assert.deepEqual(await outputs, { stdout: 'line one\nline two\n', stderr: 'bye\n' })
  assert.deepEqual((await ended) as unknown, { StatusCode: 0 })
  await container.remove()
})

test('exec is hijacked, with input, and knows its exit code', async () => {
  const container = await sleeper()
  const exec = await container.exec({
    Cmd: ['sh', '-c', 'read word; echo "got $word"; echo "in $PWD as $(id -u) with $KEY" >&2; exit 5'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    WorkingDir: '/tmp',
    User: '1000',
    Env: ['KEY=value'],
  })
  const stream = await exec.start({ hijack: true, stdin: true })
  const outputs = demultiplexed(stream)
  stream.end('hello\n')
  assert.deepEqual(await outputs, { stdout: 'got hello\n', stderr: 'in /tmp as 1000 with value\n' })
  const { ExitCode, Running } = await exec.inspect()
  assert.deepEqual({ ExitCode, Running }, { ExitCode: 5, Running: false })
})

test('exec on a terminal is one stream, of the size asked for', async () => {
  const container = await sleeper()
  const exec = await container.exec({
    Cmd: ['sh', '-c', 'read x; stty size'],
    Tty: true,
    AttachStdin: true,
    AttachStdout: true,
  })
  const stream = await exec.start({ hijack: true, stdin: true, Tty: true })
  const said = text(stream)
  await exec.resize({ h: 33, w: 111 })
  stream.write('\n')
  assert.match(await said, /33 111\r\n/)
  stream.end()
})

test('logs are followed to the end, with timestamps and tail', async () => {
  const container = await sleeper({
    Cmd: ['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.1; done; echo e >&2'],
  })
  const followed = await container.logs({ follow: true, stdout: true, stderr: true })
  assert.deepEqual(await demultiplexed(followed), { stdout: '1\n2\n3\n', stderr: 'e\n' })
  const tail = await container.logs({ stdout: true, stderr: true, tail: 1, timestamps: true })
  // Eight bytes of header: the stream, three zeros, the length.
  assert.match(tail.subarray(8).toString(), /^\d{4}-\d\d-\d\dT\S+Z e\n$/)
  assert.equal(tail[0], 2)
})

test('archives go in and out', async () => {
  const container = await docker.createContainer({ Image: image })
  const tar = pack()
  tar.entry({ name: 'note.txt', mode: 0o640, uid: 12, gid: 34 }, 'carried in')
  tar.finalize()
  await container.putArchive(tar as unknown as Readable, { path: '/tmp' })
  const back = extract()
  ;(await container.getArchive({ path: '/tmp/note.txt' })).pipe(back as unknown as NodeJS.WritableStream)
  for await (const entry of back) {
    const { name, mode, uid, gid } = entry.header
    assert.deepEqual({ name, mode, uid, gid }, { name: 'note.txt', mode: 0o640, uid: 12, gid: 34 })
    assert.equal((await buffer(entry as unknown as Readable)).toString(), 'carried in')
  }
  const info = (await container.infoArchive({ path: '/tmp/note.txt' })) as IncomingMessage
  info.resume()
  const stat = Buffer.from(String(info.headers['x-docker-container-path-stat']), 'base64').toString()
  assert.deepEqual((JSON.parse(stat) as { readonly size: number }).size, 'carried in'.length)
  await assert.rejects(container.getArchive({ path: '/no/such' }), { statusCode: 404 })
})

test('events tell the life of a container', async () => {
  const events = (await docker.getEvents({
    filters: { label: ['watched'], type: ['container'] },
  })) as Readable
  const actions: string[] = []
  let pending = ''
  const destroyed = new Promise<void>((resolve) =>
    events.on('data', (chunk: Buffer) => {
      const lines = (pending + chunk.toString()).split('\n')
      pending = lines.pop() ?? ''
      for (const line of lines) {
        const { Action } = JSON.parse(line) as { readonly Action: string }
        actions.push(Action)
        if (Action === 'destroy') resolve()
      }
    }),
  )
  const container = await docker.createContainer({ Image: image, Cmd: ['true'], Labels: { watched: '1' } })
  const ended = container.wait({ condition: 'next-exit' })
  await container.start()
  await ended
  await container.remove()
  await destroyed
  events.destroy()
  assert.deepEqual(actions, ['create', 'start', 'die', 'destroy'])
})

test('stats come as a stream and once', async () => {
  const container = await sleeper({ HostConfig: { Memory: 32 << 20 } })
  const once_ = await container.stats({ stream: false })
  assert.equal(once_.memory_stats.limit, 32 << 20)
  assert.ok(once_.precpu_stats.cpu_usage.total_usage > 0)
  const stream = (await container.stats({ stream: true })) as Readable
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  stream.destroy()
  const sample = JSON.parse(chunk.toString()) as Docker.ContainerStats & { readonly id?: string }
  assert.equal(sample.id, container.id)
  assert.ok((sample.pids_stats?.current ?? 0) >= 1)
})

test('lists and inspects with filters', async () => {
  const container = await sleeper({ name: 'found', Labels: { shelf: 'upper' } })
  const list = await docker.listContainers({ filters: { label: ['shelf=upper'], status: ['running'] } })
  assert.deepEqual(
    list.map(({ Names, State }) => [Names, State]),
    [[['/found'], 'running']],
  )
  const { Name, State, Config, HostConfig } = await container.inspect()
  assert.deepEqual(
    [Name, State.Running, Config.Cmd, HostConfig.RestartPolicy],
    ['/found', true, ['sleep', '600'], { Name: 'no', MaximumRetryCount: 0 }],
  )
  const { Titles, Processes } = (await container.top()) as {
    readonly Titles: string[]
    readonly Processes: string[][]
  }
  assert.match(Processes[0]?.[Titles.indexOf('CMD')] ?? '', /sleep 600/)
  await container.rename({ name: 'renamed' })
  assert.equal((await docker.getContainer('renamed').inspect()).Id, container.id)
})

test('stops, restarts, pauses, kills, updates and waits', async () => {
  const script = 'trap "exit 9" TERM; echo up; while :; do sleep 0.05; done'
  const container = await sleeper({ Cmd: ['sh', '-c', script] })
  // Without its trap the first process of a container takes no notice of SIGTERM.
  const log = await container.logs({ follow: true, stdout: true })
  await once(log, 'data')
  await container.pause()
  assert.equal((await container.inspect()).State.Status, 'paused')
  await container.unpause()
  const ended = container.wait()
  await container.stop({ t: 60 })
  assert.deepEqual((await ended) as unknown, { StatusCode: 9 })
  await assert.rejects(container.stop(), { statusCode: 304 })
  await container.restart()
  await container.update({ Memory: 64 << 20, MemorySwap: 64 << 20 })
  assert.equal((await container.inspect()).HostConfig.Memory, 64 << 20)
  await container.kill({ signal: 'SIGKILL' })
  assert.equal(((await container.wait()) as { readonly StatusCode: number }).StatusCode, 137)
})

test('networks carry aliases and are connected while a container runs', async () => {
  const network = await docker.createNetwork({ Name: 'ode', Labels: { for: 'dockerode' } })
  const one = await sleeper({
    NetworkingConfig: { EndpointsConfig: { ode: { Aliases: ['first'] } } },
    HostConfig: { NetworkMode: 'ode' },
  })
  const two = await sleeper()
  await network.connect({ Container: two.id })
  const exec = await two.exec({
    Cmd: ['ping', '-c1', '-W60', 'first'],
    AttachStdout: true,
    AttachStderr: true,
  })
  assert.match((await demultiplexed(await exec.start({}))).stdout, / 0% packet loss/)
  const { Containers } = (await network.inspect()) as {
    readonly Containers: Readonly<Record<string, unknown>>
  }
  assert.deepEqual(Object.keys(Containers).sort(), [one.id, two.id].sort())
  await network.disconnect({ Container: two.id })
  await assert.rejects(network.remove(), { statusCode: 403 })
  await network.disconnect({ Container: one.id, Force: true })
  await network.remove()
})

test('volumes are created, filled, listed and removed', async () => {
  await docker.createVolume({ Name: 'vol', Labels: { of: 'dockerode' } })
  const writer = await sleeper({
    Cmd: ['sh', '-c', 'echo kept > /v/file'],
    HostConfig: { Binds: ['vol:/v'] },
  })
  await writer.wait()
  const output = new PassThrough()
  const said = text(output)
  await docker.run(image, ['cat', '/v/file'], output, {
    HostConfig: { Binds: ['vol:/v:ro'], AutoRemove: true },
  })
  output.end()
  assert.equal((await said).trim(), 'kept')
  const { Volumes } = await docker.listVolumes({ filters: { label: ['of=dockerode'] } })
  assert.deepEqual(
    Volumes.map(({ Name }) => Name),
    ['vol'],
  )
  await assert.rejects(docker.getVolume('vol').remove(), { statusCode: 409 })
  await writer.remove()
  await docker.getVolume('vol').remove()
})

test('images are committed, tagged, inspected, saved, loaded and removed', async () => {
  const container = await sleeper({ Cmd: ['sh', '-c', 'echo new > /made'] })
  await container.wait()
  await container.commit({ repo: 'committed', tag: 'one', comment: 'by dockerode' })
  const committed = docker.getImage('committed:one')
  const { Id, Comment } = await committed.inspect()
  assert.equal(Comment, 'by dockerode')
  assert.equal(((await committed.history()) as readonly unknown[]).length, 2)
  const archive = await buffer(await committed.get())
  await committed.tag({ repo: 'committed', tag: 'two' })
  await docker.getImage('committed:two').remove()
  await container.remove()
  await committed.remove()
  await assert.rejects(committed.inspect(), { statusCode: 404 })
  const tar = new PassThrough()
  tar.end(archive)
  assert.match(await text(await docker.loadImage(tar)), /Loaded image: committed:one/)
  assert.equal((await committed.inspect()).Id, Id)
})

test('errors have the status and message of dockerd', async () => {
  await assert.rejects(docker.getContainer('nobody').inspect(), {
    statusCode: 404,
    message: /No such container: nobody/,
  })
  await assert.rejects(docker.createContainer({ Image: 'no/such:image' }), {
    statusCode: 404,
    message: /No such image: no\/such:image/,
  })
  const container = await sleeper({ name: 'taken' })
  await assert.rejects(docker.createContainer({ Image: image, name: 'taken' }), {
    statusCode: 409,
    message: /The container name "\/taken" is already in use/,
  })
  await assert.rejects(container.remove(), { statusCode: 409 })
})

test('system calls: info, version, ping, df, prune', async () => {
  assert.equal(String((await docker.ping()) as Buffer), 'OK')
  const info = (await docker.info()) as { readonly OSType: string; readonly Images: number }
  assert.equal(info.OSType, 'linux')
  assert.match((await docker.version()).ApiVersion, /^1\.\d+$/)
  const usage = (await docker.df()) as { readonly Images: readonly unknown[]; readonly LayersSize: number }
  assert.ok(usage.Images.length >= 1 && usage.LayersSize > 0)
  const stopped = await docker.createContainer({ Image: image })
  const { ContainersDeleted } = await docker.pruneContainers()
  assert.ok(ContainersDeleted.includes(stopped.id))
})

/** The events of a build, to its end. */
async function built(context: ReturnType<typeof pack>, options: object): Promise<readonly Built[]> {
  const progress = await docker.buildImage(Readable.from(context), options)
  return new Promise((resolve, reject) =>
    docker.modem.followProgress(progress, (error, output: readonly Built[]) =>
      error === null ? resolve(output) : reject(error),
    ),
  )
}

interface Built {
  readonly stream?: string
  readonly error?: string
  readonly errorDetail?: { readonly code?: number }
  readonly aux?: { readonly ID?: string }
}

test('builds an image from a tar, with arguments, labels and a target', async () => {
  const context = pack()
  context.entry(
    { name: 'Made' },
    `FROM ${image} AS first\nARG WORD=no\nCOPY f /f\nRUN echo "$WORD" >> /f\nFROM first\nRUN exit 9\n`,
  )
  context.entry({ name: 'f' }, 'file\n')
  context.finalize()
  const events = await built(context, {
    t: 'dockerode-built',
    dockerfile: 'Made',
    buildargs: { WORD: 'given' },
    labels: { by: 'dockerode' },
    target: 'first',
  })
  const id = events.flatMap(({ aux }) => aux?.ID ?? []).at(-1)
  const info = await docker.getImage('dockerode-built').inspect()
  assert.equal(info.Id, id)
  assert.equal(info.Config.Labels?.['by'], 'dockerode')
  const out = new PassThrough()
  const said = text(out)
  await docker.run('dockerode-built', ['cat', '/f'], out, { HostConfig: { AutoRemove: true } })
  out.end()
  assert.equal((await said).replaceAll('\r', ''), 'file\ngiven\n')
})

test('a build that fails tells why, and with which code', async () => {
  const context = pack()
  context.entry({ name: 'Dockerfile' }, `FROM ${image}\nRUN echo before; exit 9\n`)
  context.finalize()
  const events = await built(context, { t: 'never' }).catch((error: unknown) => {
    assert.match(String(error), /returned a non-zero code: 9/)
    return []
  })
  for (const { error, errorDetail } of events.filter((event) => event.error !== undefined)) {
    assert.match(error ?? '', /returned a non-zero code: 9/)
    assert.equal(errorDetail?.code, 9)
  }
  await assert.rejects(docker.getImage('never').inspect(), /No such image|no such image/)
})
