import { request } from 'node:http'

export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly text: string
  /** The body when it is JSON, else undefined. */
  readonly json: unknown
}

/** One request over a unix socket. An object body is sent as JSON, a string or Buffer as it is. */
export function callApi(
  socket: string,
  method: string,
  path: string,
  body?: unknown,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly timeout?: number } = {},
): Promise<ApiAnswer> {
  const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : undefined
  const bytes = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const headers = {
    Host: 'docker',
    ...(bytes === undefined
      ? {}
      : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(bytes) }),
    ...options.headers,
  }
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: socket, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json: parse(text) })
      })
    })
    call.setTimeout(options.timeout ?? 120_000, () =>
      call.destroy(new Error(`${method} ${path}: no answer in time`)),
    )
    call.on('error', reject)
    call.end(bytes)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
