/** What the stories are told with, inside the machine: the engine's API, and the console. */
import { readFileSync } from 'node:fs'
import { callApi } from '../harness/call-api.ts'
import type { ApiAnswer } from '../harness/call-api.ts'
import { until } from '../harness/until.ts'

/** Under emulation, on a machine with other things to do. */
const PATIENCE = 300_000
export const SOCKET = '/run/dewar/dewar.sock'

export async function api(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  const answer = await callApi(SOCKET, method, path, body, {
    timeout: PATIENCE,
    headers: Buffer.isBuffer(body) ? { 'Content-Type': 'application/x-tar' } : {},
  })
  if (answer.status >= 400) say(`FAILED ${method} ${path}: ${answer.status} ${answer.text}`)
  return answer
}

/** Waits for the engine and gives it the image `bb`. */
export async function begin(): Promise<void> {
  await engineAnswers()
  await api('POST', '/images/create?fromSrc=-&repo=bb', readFileSync('/image.tar'))
}

export async function engineAnswers(): Promise<void> {
  const answers = (): Promise<boolean> =>
    callApi(SOCKET, 'GET', '/_ping').then(
      ({ status }) => status === 200,
      () => false,
    )
  await until('the engine', answers, PATIENCE, 100)
}

/** Begins a section of the report. */
export function part(name: string): void {
  say(`== ${name}`)
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

export async function start(name: string, cmd: readonly string[], hostConfig: object = {}): Promise<void> {
  const config = { Image: 'bb', Cmd: cmd, HostConfig: { NetworkMode: 'none', ...hostConfig } }
  await api('POST', `/containers/create?name=${name}`, config)
  await api('POST', `/containers/${name}/start`)
}

/** Runs it to its end: a section with what it printed and its exit code. */
export async function run(name: string, cmd: readonly string[], hostConfig: object = {}): Promise<void> {
  part(name)
  await start(name, cmd, hostConfig)
  await api('POST', `/containers/${name}/wait`)
  const { text } = await api('GET', `/containers/${name}/logs?stdout=1&stderr=1`)
  say(withoutHeaders(text).trim())
  say(`status ${String(await inspect(name, 'State', 'ExitCode'))}`)
}

export async function inspect(name: string, ...path: readonly string[]): Promise<unknown> {
  const { json } = await api('GET', `/containers/${name}/json`)
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).find(([k]) => k === key)?.[1]
        : undefined,
    json,
  )
}

/** The streams' headers have bytes that no text has: type, three zeros, length. */
function withoutHeaders(text: string): string {
  return text.replaceAll(/[\u0001\u0002]\0\0\0[^]{4}/g, '')
}
