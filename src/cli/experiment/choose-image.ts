import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { messageOf } from '../../base/errors.ts'
import type { Client } from '../../client/connect.ts'
import { BUILTIN_REFERENCE, builtinImage } from './builtin-image.ts'

export interface ChosenImage {
  readonly reference: string
  /** The first process's own default, kept. */
  readonly how: string
  /** Why the built-in image is used, when it is. */
  readonly instead?: string
}

const REGISTRY = 'https://registry-1.docker.io'
const REACHABLE_MS = 2000
/** A pull that has not ended by then is given up: the experiment is to end before the reader goes. */
const PULL_MS = 120_000

/** nginx where a registry answers; else the image made from the host's own programs. */
export async function chooseImage(
  client: Client,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<ChosenImage> {
  const registry = env['DEWAR_REGISTRY_MIRROR'] ?? REGISTRY
  if (!(await answers(registry))) return loadBuiltin(client, `${registry} does not answer`)
  try {
    await pullNginx(client, signal)
  } catch (error) {
    signal.throwIfAborted()
    return loadBuiltin(client, `nginx could not be pulled: ${messageOf(error)}`)
  }
  return { reference: 'nginx:latest', how: `nginx, pulled from ${new URL(registry).host}` }
}

/** Whether a registry answers at all within two seconds; "unauthorized" is an answer. */
export async function answers(registry: string, milliseconds = REACHABLE_MS): Promise<boolean> {
  if (!URL.canParse('/v2/', registry)) return false
  const url = new URL('/v2/', registry)
  const send = url.protocol === 'http:' ? httpRequest : httpsRequest
  return new Promise((resolve) => {
    const request = send(url, { method: 'GET', signal: AbortSignal.timeout(milliseconds) }, (response) => {
      response.destroy()
      resolve((response.statusCode ?? 500) < 500)
    })
    request.on('error', () => resolve(false))
    request.end()
  })
}

async function pullNginx(client: Client, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PULL_MS)])
  for await (const line of client.images.pull({
    fromImage: 'docker.io/library/nginx',
    tag: 'latest',
    signal: limit,
  })) {
    if (line.error !== '') throw new Error(line.error)
  }
}

async function loadBuiltin(client: Client, reason: string): Promise<ChosenImage> {
  const image = await builtinImage()
  for await (const line of client.images.load(image.stream(), { quiet: true })) {
    if (line.error !== '') throw new Error(line.error)
  }
  const megabytes = Math.round(image.size / 1e6)
  return {
    reference: BUILTIN_REFERENCE,
    how: `a web server and ${image.programs.length} programs taken from this host (${megabytes} MB)`,
    instead: reason,
  }
}
