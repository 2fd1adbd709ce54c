/** Files from URLs: contexts, and ADD. Not `fetch`: that refuses ports a browser should not speak to. */
import { request as requestPlain, type IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import { DewarError, errnoOf, messageOf } from '../../base/errors.ts'

export interface Download {
  readonly type: string
  /** Milliseconds; 0 when the server does not say. */
  readonly modified: number
  readonly disposition: string
  readonly body: AsyncIterable<Buffer>
}

const REDIRECTS_MAX = 10
/** Milliseconds without a byte. */
const SILENCE = 60_000

/** Throws in dockerd's words. */
export async function download(url: string, signal: AbortSignal): Promise<Download> {
  let at = urlOf(url)
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const response = await get(at, signal)
    const { statusCode: status = 0, headers } = response
    if (status >= 300 && status < 400 && headers.location !== undefined) {
      response.destroy()
      at = urlOf(headers.location, at)
      continue
    }
    if (status >= 400) {
      const text = await beginning(response)
      throw new DewarError(
        'invalid-argument',
        `failed to GET ${url} with status ${status} ${response.statusMessage ?? ''}: ${text}`,
      )
    }
    const modified = Date.parse(headers['last-modified'] ?? '')
    return {
      type: headers['content-type'] ?? '',
      modified: Number.isNaN(modified) ? 0 : modified,
      disposition: headers['content-disposition'] ?? '',
      body: response,
    }
  }
  throw new DewarError(
    'invalid-argument',
    `Get ${JSON.stringify(url)}: stopped after ${REDIRECTS_MAX} redirects`,
  )
}

function urlOf(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new DewarError('invalid-argument', `Get ${JSON.stringify(text)}: unsupported protocol scheme`)
}

function get(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? requestTls : requestPlain
  return new Promise((resolve, reject) => {
    const request = send(url, { signal, headers: { 'User-Agent': 'dewar' } })
    request.once('response', resolve)
    request.setTimeout(SILENCE, () => request.destroy(new Error('the server is silent')))
    request.once('error', (cause) => reject(signal.aborted ? cause : failed(url, cause)))
    request.end()
  })
}

function failed(url: URL, cause: unknown): DewarError {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const refused = errnoOf(cause) === 'ECONNREFUSED'
  const why = refused ? `dial tcp ${url.hostname}:${port}: connect: connection refused` : messageOf(cause)
  return new DewarError('system', `Get ${JSON.stringify(url.href)}: ${why}`, { cause })
}

async function beginning(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const bytes of response) {
    text += String(bytes)
    if (text.length > 200) break
  }
  return text.slice(0, 200).trim()
}
