/** RUN: a container like any other, its output to the client, its end as dockerd tells it. */
import { StringDecoder } from 'node:string_decoder'
import type { Duplex } from 'node:stream'
import { DewarError } from '../../base/errors.ts'
import type { Containers } from '../types.ts'
import type { Output } from './output.ts'

/** Resolves with the container's id once it has ended well. Throws with `exitStatus` when the command fails. */
export async function runToEnd(
  containers: Containers,
  id: string,
  command: readonly string[],
  out: Output,
  signal: AbortSignal,
): Promise<void> {
  const { stream } = await containers.attach(id, {
    stream: true,
    stdin: false,
    stdout: true,
    stderr: true,
    logs: false,
  })
  const { result } = await containers.wait(id, 'next-exit')
  await containers.start(id)
  const kill = (): void => void containers.kill(id, 'KILL').catch(() => undefined)
  signal.addEventListener('abort', kill)
  if (signal.aborted) kill()
  try {
    await forward(stream, out)
    const { code, error } = await result
    signal.throwIfAborted()
    if (code === 0) return
    const why = error === undefined || error === '' ? '' : `: ${error}`
    throw new DewarError(
      'system',
      `The command '${command.join(' ')}' returned a non-zero code: ${code}${why}`,
      { exitStatus: code },
    )
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

/** Docker's frames as text; what is cut in the middle of a character waits for its rest. */
async function forward(stream: Duplex, out: Output): Promise<void> {
  const decoders = [new StringDecoder('utf8'), new StringDecoder('utf8')]
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    if (!Buffer.isBuffer(chunk)) continue
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let length = frame(rest); length !== undefined; length = frame(rest)) {
      const isError = rest[0] === 2
      const text = decoders[isError ? 1 : 0]?.write(rest.subarray(8, 8 + length)) ?? ''
      rest = rest.subarray(8 + length)
      if (text === '') continue
      if (isError) out.error(text)
      else out.text(text)
    }
    await out.ready()
  }
}

/** The length of the first frame when it is there whole. */
function frame(bytes: Buffer): number | undefined {
  if (bytes.length < 8) return undefined
  const length = bytes.readUInt32BE(4)
  return bytes.length < 8 + length ? undefined : length
}
