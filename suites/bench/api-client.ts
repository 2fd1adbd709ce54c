import { Agent, request } from 'node:http'

/** Requests on kept connections, as a program that uses the API has them. */
export class ApiClient {
  readonly #agent: Agent
  readonly #socket: string

  constructor(socket: string) {
    this.#socket = socket
    this.#agent = new Agent({ keepAlive: true, maxSockets: 128 })
  }

  /** The body's text; throws for a status of 400 and above. */
  send(method: string, path: string, body?: unknown): Promise<string> {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = {
      Host: 'd',
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
    }
    return new Promise((resolve, reject) => {
      const call = request({
        socketPath: this.#socket,
        agent: this.#agent,
        method,
        path: `/v1.41${path}`,
        headers,
      })
      call.on('error', reject)
      call.on('response', (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const all = Buffer.concat(chunks).toString()
          const status = answer.statusCode ?? 0
          if (status >= 400) reject(new Error(`${method} ${path}: status ${status} ${all}`))
          else resolve(all)
        })
      })
      call.end(text)
    })
  }

  /** Streams the body away and counts its bytes. */
  drain(path: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const call = request({
        socketPath: this.#socket,
        agent: this.#agent,
        path: `/v1.41${path}`,
        headers: { Host: 'd' },
      })
      call.on('error', reject)
      call.on('response', (answer) => {
        let bytes = 0
        answer.on('data', (chunk: Buffer) => (bytes += chunk.length))
        answer.on('error', reject)
        answer.on('end', () => resolve(bytes))
      })
      call.end()
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

export function idOf(json: string): string {
  const value: unknown = JSON.parse(json)
  if (typeof value === 'object' && value !== null && 'Id' in value && typeof value.Id === 'string')
    return value.Id
  throw new Error(`reading an answer: no Id in ${json}`)
}
