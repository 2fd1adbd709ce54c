import type { Readable } from 'node:stream'
import { ClientError } from './error.ts'

/**
 * The JSON values of a stream that has one per line, as `events`, `stats` and pull progress do; blank lines are skipped.
 */
export async function* readJsonStream(source: Readable): AsyncGenerator<unknown> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of source) {
    text += decoder.decode(chunk, { stream: true })
    const { values, rest } = takeLines(text)
    text = rest
    yield* values
  }
  const last = text.trim()
  if (last !== '') yield parse(last)
}

function takeLines(text: string): { values: unknown[]; rest: string } {
  const end = text.lastIndexOf('\n')
  if (end < 0) return { values: [], rest: text }
  const lines = text.slice(0, end).split('\n').map((line) => line.trim()).filter((line) => line !== '')
  return { values: lines.map(parse), rest: text.slice(end + 1) }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new ClientError(0, `reading the engine's stream failed: a line is not JSON: ${line.slice(0, 80)}`, { cause })
  }
}
