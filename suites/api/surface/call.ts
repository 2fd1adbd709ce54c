/** One row of the table, said to a server. */
import { request } from 'node:http'
import { valueOf } from './shape.ts'

export interface Call {
  readonly method: string
  /** With the version; see rows.ts. */
  readonly path: string
  readonly body?: Buffer | string | undefined
  /** Milliseconds after which the client leaves; for answers without end. */
  readonly leaveAfter?: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface Said {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly value: unknown
}

export function say(socketPath: string, call: Call): Promise<Said> {
  const { method, path, body, leaveAfter } = call
  const headers = {
    Host: 'docker',
    ...(body === undefined
      ? {}
      : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
    ...call.headers,
  }
  return new Promise((resolve, reject) => {
    const made = request({ socketPath, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      const done = (): void => {
        clearTimeout(timer)
        const text = Buffer.concat(chunks).toString()
        const type = answer.headers['content-type'] ?? ''
        resolve({ status: answer.statusCode ?? 0, type, text, value: valueOf(text) })
      }
      const timer = setTimeout(() => {
        done()
        made.destroy()
      }, leaveAfter ?? 30_000)
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', done)
      answer.on('end', done)
    })
    made.setTimeout(leaveAfter ?? 20_000, () => {
      resolve({ status: 0, type: '', text: 'no answer', value: undefined })
      made.destroy()
    })
    made.on('error', reject)
    made.end(body)
  })
}
