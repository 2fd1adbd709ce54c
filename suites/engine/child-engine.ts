/** An engine in a process of its own, to be killed. Reads lines of JSON `{"create": …}` / `{"start": id}`, answers lines. */
import { createInterface } from 'node:readline'
import { Engine } from '../../src/engine/engine.ts'
import type { CreateContainer } from '../../src/index.ts'

interface Request {
  readonly create?: CreateContainer
  readonly start?: string
  readonly remove?: string
  readonly pause?: string
  readonly commit?: string
  readonly stat?: string
}

const options: unknown = JSON.parse(process.argv[2] ?? '{}')
if (typeof options !== 'object' || options === null) throw new Error('options wanted')
const engine = await Engine.open(options)
process.stdout.write('ready\n')

function isRequest(value: unknown): value is Request {
  return typeof value === 'object' && value !== null
}

async function answer(line: string): Promise<string> {
  const request: unknown = JSON.parse(line)
  if (!isRequest(request)) throw new Error('a request wanted')
  if (request.create !== undefined) return (await engine.containers.create(request.create)).id
  if (request.start !== undefined) await engine.containers.start(request.start)
  if (request.remove !== undefined)
    await engine.containers.remove(request.remove, { force: true, volumes: true, link: false })
  if (request.pause !== undefined) await engine.containers.pause(request.pause)
  if (request.commit !== undefined)
    await engine.images.commit(request.commit, { changes: [], author: '', comment: '', pause: true })
  if (request.stat !== undefined) await engine.containers.archiveStat(request.stat, '/bin')
  return 'done'
}

for await (const line of createInterface({ input: process.stdin })) {
  // Not awaited: requests overlap, as they do behind the API.
  void answer(line).then(
    (text) => process.stdout.write(`${text}\n`),
    (error: unknown) => process.stdout.write(`error ${String(error)}\n`),
  )
}
