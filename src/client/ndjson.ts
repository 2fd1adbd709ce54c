import type { Readable } from 'node:stream'
import { bytesOf } from './bytes.ts'
import { ClientError } from './error.ts'

/**
 * The JSON values of a stream that has one per line, as `stats` and pull progress do; blank lines are skipped.
 */
export async function* readJsonStream(source: Readable): AsyncGenerator<unknown> {
  for await (const line of readLines(source)) yield parseLine(line)
}

/** The lines of a stream without white space around them; blank ones are skipped. */
export async function* readLines(source: Readable): AsyncGenerator<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of bytesOf(source)) {
    text += decoder.decode(chunk, { stream: true })
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield line.trim()
  }
  if (text.trim() !== '') yield text.trim()
}

export function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new ClientError(0, `reading the engine's stream failed: a line is not JSON: ${line.slice(0, 80)}`, {
      cause,
    })
  }
}
