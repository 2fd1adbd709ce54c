/** Builds whose client reads slowly or leaves, and engines that are killed while they build. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createServer, request, type ClientRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { until } from '../harness/until.ts'
import { startBuilder, tarOf } from './builder.ts'

const GIB = 2 ** 30

/** A `POST /build` of a Dockerfile alone; nobody reads the answer yet. */
async function post(
  server: Server,
  dockerfile: string,
  query = '',
): Promise<{ call: ClientRequest; answer: Promise<IncomingMessage> }> {
  const tar = await tarOf(dockerfile)
  const headers = { 'Content-Type': 'application/x-tar', 'Content-Length': tar.length }
  const call = request({
    socketPath: server.socket,
    method: 'POST',
    path: `/build?nocache=1${query}`,
    headers,
    agent: false,
  })
  const answer = once(call, 'response').then(([message]) => message as IncomingMessage)
  // Whoever leaves gets no answer.
  answer.catch(() => undefined)
  call.on('error', () => undefined)
  call.end(tar)
  return { call, answer }
}

async function rss(server: Server): Promise<number> {
  const status = await readFile(`/proc/${server.process.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024
}

const ids = async (server: Server): Promise<string[]> =>
  (await server.docker('ps', '-aq', '--no-trunc')).split('\n').filter((id) => id !== '')

/** Folders of containers, builds, and what waits to be removed. */
async function leftIn(folder: string): Promise<string[]> {
  const places = ['root/containers', 'root/builds', 'root/trash', 'run/containers']
  const found = await Promise.all(
    places.map(async (place) =>
      (await readdir(join(folder, place)).catch(() => [])).map((name) => `${place}/${name}`),
    ),
  )
  return found.flat()
}

const isAlive = (pid: number): Promise<boolean> =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    (text) => !/\) [ZX] /.test(text),
    () => false,
  )

describe('builds and their clients', { skip: missing('docker', 'busybox', 'tar'), concurrency: 1 }, () => {
  test('a step that prints 1 GiB waits for a client that does not read, in bounded memory', async () => {
    await using scope = new Scope()
    const { server } = await startBuilder(scope, { bridge: 'dwtb2', subnet: '172.29.2.0/24' })
    const line = 'x'.repeat(1023)
    const { answer } = await post(
      server,
      `FROM base\nRUN yes ${line} | head -c ${GIB}; echo; echo at the end\n`,
    )
    const message = await answer
    await until('the step to print', () => message.readableLength > 0)
    const before = await rss(server)
    let peak = 0
    const watch = setInterval(() => void rss(server).then((bytes) => (peak = Math.max(peak, bytes))), 100)
    try {
      await sleep(3000)
      let count = 0
      let tail = ''
      for await (const chunk of message as AsyncIterable<Buffer>) {
        for (let at = chunk.indexOf(0x78); at >= 0 && at < chunk.length; at += 1)
          if (chunk[at] === 0x78) count += 1
        tail = (tail + chunk.toString('latin1')).slice(-2000)
      }
      assert.match(tail, /at the end[^]*Successfully built/)
      // Nothing is lost: each line of 1,024 bytes has 1,023 of them.
      assert.ok(count >= (GIB / 1024) * 1023, `${count} of them came`)
    } finally {
      clearInterval(watch)
    }
    assert.ok(peak - before < 150 * 2 ** 20, `it grew by ${Math.round((peak - before) / 2 ** 20)} MiB`)
  })

  test('a client that vanishes ends its build, and nothing is left of it', async () => {
    await using scope = new Scope()
    const { server, folder } = await startBuilder(scope, { bridge: 'dwtb3', subnet: '172.29.3.0/24' })
    await server.docker('network', 'create', 'own')
    for (const query of ['', '&forcerm=1', '&networkmode=own']) {
      const { call } = await post(
        server,
        'FROM base\nRUN echo kept > /kept\nRUN sleep 600\nRUN echo never\n',
        query,
      )
      const pid = await until('the second step to run', async () => {
        const running = await server.docker('ps', '-q', '--no-trunc', '--filter', 'status=running')
        if (running === '') return undefined
        const shown = await server.docker('inspect', '-f', '{{.State.Pid}} {{.Path}} {{.Args}}', running)
        return shown.includes('sleep 600') ? Number(shown.split(' ')[0]) : undefined
      })
      call.destroy()
      await until('the step to end', async () => !(await isAlive(pid)))
      await until('its container to go', async () => (await ids(server)).length === 0)
      await until('its folders to go', async () => (await leftIn(folder)).length === 0)
    }
    const used = await server.docker('network', 'inspect', 'own', '-f', '{{len .Containers}}')
    assert.equal(used, '0')
    await server.docker('network', 'rm', 'own')
  })

  test('a client that vanishes while it sends, or while a server keeps the build waiting, leaves nothing', async () => {
    await using scope = new Scope()
    const { server, folder } = await startBuilder(scope, { bridge: 'dwtb9', subnet: '172.29.9.0/24' })
    const builds = async () => (await readdir(join(folder, 'root/builds')).catch(() => [])).length
    const half = request({
      ...{ socketPath: server.socket, method: 'POST', path: '/build', agent: false },
      headers: { 'Content-Type': 'application/x-tar', 'Content-Length': 100_000_000 },
    })
    half.on('error', () => undefined)
    half.write(await tarOf('FROM base\n'))
    await until('the build to begin', async () => (await builds()) === 1)
    half.destroy()
    await until('its folders to go', async () => (await leftIn(folder)).length === 0)

    let asked = false
    const silent = createServer(() => (asked = true))
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = silent.address() as AddressInfo
      const { call } = await post(server, `FROM base\nADD http://127.0.0.1:${port}/f /f\n`)
      await until('the server to be asked', () => asked)
      call.destroy()
      await until('its folders to go', async () => (await leftIn(folder)).length === 0)
    } finally {
      silent.closeAllConnections()
      silent.close()
    }
  })

  test('an engine that is killed while it builds leaves nothing to the next', async () => {
    await using scope = new Scope()
    const options = { bridge: 'dwtb4', subnet: '172.29.4.0/24' }
    const first = await startBuilder(scope, options)
    const bystander = await first.server.docker('run', '-d', '--name', 'build-mine-1', 'base', 'sleep', '600')
    await post(first.server, 'FROM base\nRUN sleep 601\n', '&forcerm=0')
    const pid = await until('the step to run', async () => {
      const all = (await ids(first.server)).filter((id) => id !== bystander)
      const shown = all[0] && (await first.server.docker('inspect', '-f', '{{.State.Pid}}', all[0]))
      return Number(shown ?? 0)
    })
    await first.server.crash()
    assert.ok(await isAlive(pid), 'containers outlive the engine')
    const server = scope.use(await startEngine({ ...options, folder: first.folder }))
    assert.deepEqual(await ids(server), [bystander], 'only what is no step of a build is there')
    await until('the step to end', async () => !(await isAlive(pid)))
    await until('its folders to go', async () => {
      const left = await leftIn(first.folder)
      return left.every((path) => path.includes(bystander.slice(0, 12)))
    })
    await server.docker('rm', '-f', 'build-mine-1')
  })
})
