/** A registry that does what a test tells it: stalls, cuts, lies, redirects. */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { MadeImage } from './harness.ts'

export interface FakeRegistry extends AsyncDisposable {
  readonly host: string
  /** "METHOD path" with the Authorization header, in order. */
  readonly seen: {
    readonly request: string
    readonly authorization: string | undefined
    readonly range: string | undefined
  }[]
}

/** Answers true when it has taken care of the request. */
export type Misbehaviour = (
  request: IncomingMessage,
  response: ServerResponse,
  blob: Buffer | undefined,
) => boolean

/** Serves one image as NAME:latest; `misbehave` is asked first. */
export async function fakeRegistry(
  image: MadeImage,
  misbehave: Misbehaviour = () => false,
): Promise<FakeRegistry> {
  const seen: FakeRegistry['seen'] = []
  const server = createServer((request, response) => {
    const { authorization, range } = request.headers
    seen.push({ request: `${request.method} ${request.url}`, authorization, range })
    const digest = request.url?.split('/').at(-1) ?? ''
    const blob = image.blobs.get(digest)
    if (misbehave(request, response, blob)) return
    answer(image, request, response, blob)
  })
  const port = await listen(server)
  return {
    host: `127.0.0.1:${port}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function answer(
  image: MadeImage,
  request: IncomingMessage,
  response: ServerResponse,
  blob: Buffer | undefined,
): void {
  const { url = '' } = request
  if (url === '/v2/') {
    response.end('{}')
    return
  }
  if (url.includes('/manifests/')) {
    const { mediaType } = JSON.parse(image.manifest.toString()) as { mediaType: string }
    response.setHeader('content-type', mediaType)
    response.end(image.manifest)
    return
  }
  if (blob === undefined) {
    response.statusCode = 404
    response.end('{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
    return
  }
  const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
  if (from === undefined) {
    response.setHeader('content-length', blob.length)
    response.end(blob)
    return
  }
  response.statusCode = 206
  response.setHeader('content-range', `bytes ${from}-${blob.length - 1}/${blob.length}`)
  response.end(blob.subarray(Number(from)))
}
