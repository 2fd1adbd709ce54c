/** A real engine with a busybox image for what a fake one cannot show, in a network namespace of its own. */
import { join } from 'node:path'
import { connect, type Socket } from 'node:net'
import type { ApiAnswer } from '../harness/call-api.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { startRegistry } from '../harness/registry.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { copyTestImages } from '../harness/test-images.ts'

export const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'nsenter')

export const REGISTRY = '127.0.0.1:5000'

export interface Live extends AsyncDisposable {
  readonly server: Server
  readonly folder: string
  /** Bytes of memory the engine's process has resident now. */
  rss(): Promise<number>
  /** Kills the engine, waits for `meanwhile`, and starts a successor. */
  killed(meanwhile: () => Promise<unknown>): Promise<void>
}

export interface LiveOptions {
  readonly arguments?: readonly string[]
}

export async function startLive(name: string, options: LiveOptions = {}): Promise<Live> {
  const scope = new Scope()
  try {
    const { path: folder } = scope.use(await tempFolder(name))
    const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
    const { storage } = await copyTestImages(folder)
    scope.use(await startRegistry({ storage, folder, port: 5000, network }))
    const engine = () =>
      startEngine({ folder, network, bridge: 'dwta0', subnet: '172.27.0.0/16', ...options })
    let server = await engine()
    scope.defer(() => server.process.stop())
    scope.defer(() => removeAllContainers(server))
    await server.docker('pull', '--quiet', `${REGISTRY}/busybox`)
    await server.docker('tag', `${REGISTRY}/busybox`, 'busybox')
    return {
      get server() {
        return server
      },
      folder,
      rss: () => rssOf(server),
      async killed(meanwhile) {
        await server.crash()
        await meanwhile()
        server = await engine()
      },
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    }
  } catch (error) {
    await scope[Symbol.asyncDispose]()
    throw error
  }
}

/** The engine is the child of `nsenter`, which has replaced itself. */
async function rssOf(server: Server): Promise<number> {
  const { stdout } = await server.run(['grep', 'VmRSS', `/proc/${server.process.pid}/status`], {
    check: true,
  })
  return Number(/(\d+) kB/.exec(stdout)?.[1]) * 1024
}

/** POST /containers/create, with fields as Docker spells them; gives the id. */
export async function create(server: Server, config: object): Promise<string> {
  const answer = await server.api('POST', '/containers/create', { Image: 'busybox', ...config })
  return field(answer, 201, 'Id')
}

export async function run(server: Server, config: object): Promise<string> {
  const id = await create(server, config)
  expectStatus(await server.api('POST', `/containers/${id}/start`), 204)
  return id
}

/** Runs it to its end; what it printed on both streams, and its exit code. */
export async function finish(
  server: Server,
  config: object,
): Promise<{ code: number; output: string; id: string }> {
  const id = await run(server, config)
  const { json } = expectStatus(await server.api('POST', `/containers/${id}/wait`), 200)
  const code: unknown = Reflect.get(Object(json), 'StatusCode')
  const output = await server.run(['docker', 'logs', id])
  return { code: Number(code), output: output.stdout + output.stderr, id }
}

export function expectStatus(answer: ApiAnswer, status: number): ApiAnswer {
  if (answer.status === status) return answer
  throw new Error(`status ${answer.status} instead of ${status}: ${answer.text}`)
}

export function field(answer: ApiAnswer, status: number, name: string): string {
  return String(Reflect.get(Object(expectStatus(answer, status).json), name))
}

export async function inspect(server: Server, id: string): Promise<Record<string, unknown>> {
  const { json } = expectStatus(await server.api('GET', `/containers/${id}/json`), 200)
  return json as Record<string, unknown>
}

/** A hijacked connection after its 101. */
export async function hijack(server: Server, path: string, body?: object): Promise<Socket> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const made = connect({ path: server.socket, allowHalfOpen: true }, () => resolve(made)).once(
      'error',
      reject,
    )
  })
  const text = body === undefined ? '' : JSON.stringify(body)
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  )
  const head = await readHead(socket)
  if (!head.startsWith('HTTP/1.1 101')) throw new Error(`hijacking ${path}: ${head}`)
  return socket
}

function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let have: Buffer = Buffer.alloc(0)
    const onReadable = (): void => {
      for (let chunk: unknown; (chunk = socket.read()) !== null;) {
        if (!Buffer.isBuffer(chunk)) continue
        have = Buffer.concat([have, chunk])
        const end = have.indexOf('\r\n\r\n')
        if (end === -1) continue
        socket.off('readable', onReadable)
        if (have.length > end + 4) socket.unshift(have.subarray(end + 4))
        resolve(have.toString('latin1', 0, end))
        return
      }
    }
    socket.on('readable', onReadable)
    socket.once('end', () => reject(new Error(`no head: ${have.toString()}`)))
    socket.once('error', reject)
  })
}
