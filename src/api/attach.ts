/** Attach and exec start, the same whether the connection is upgraded or not. */
import { Duplex } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import type { EngineApi } from '../engine/types.ts'
import { attachesLate, wantsContainerConfig } from './client-quirks.ts'
import { EXEC_START } from './container-schema.ts'
import { flagOf, textOf } from './query.ts'
import { checkExecRef, checkRef } from './ref.ts'

export interface Attached {
  /** Undefined for a detached exec. */
  readonly stream?: Duplex
  readonly tty: boolean
}

export async function attachContainer(
  engine: EngineApi,
  ref: string,
  query: URLSearchParams,
  userAgent?: string,
): Promise<Attached> {
  const detachKeys = textOf(query, 'detachKeys')
  const late = await isLate(engine, ref, userAgent)
  return engine.containers.attach(checkRef(ref), {
    stream: flagOf(query, 'stream'),
    stdin: flagOf(query, 'stdin'),
    stdout: flagOf(query, 'stdout'),
    stderr: flagOf(query, 'stderr'),
    logs: flagOf(query, 'logs') || late,
    ...(detachKeys === undefined ? {} : { detachKeys }),
  })
}

async function isLate(engine: EngineApi, ref: string, userAgent: string | undefined): Promise<boolean> {
  if (!wantsContainerConfig(userAgent)) return false
  const { state } = await engine.containers.inspect(checkRef(ref))
  return attachesLate(userAgent, state.startedAt)
}

/**
 * dockerd hijacks the connection before it starts the process, so a command that cannot be run is told in the
 * stream, and clients take the exit code (126, 127) from the exec's inspect. A refused request would end the docker
 * client with 1 instead.
 */
export async function startExec(engine: EngineApi, id: string, body: unknown): Promise<Attached> {
  const options = EXEC_START.decode(body ?? {})
  const exec = await engine.execs.inspect(checkExecRef(id))
  try {
    return await engine.execs.start(id, options)
  } catch (error) {
    if (options.detach || !isStartFailure(error)) throw error
    const tty = exec.config.tty
    return { stream: oneMessage(`${error.message}\r\n`, tty), tty }
  }
}

/** What dockerd finds out before the upgrade (no such exec, the container does not run) is answered as a refusal. */
function isStartFailure(error: unknown): error is DewarError {
  return error instanceof DewarError && error.code !== 'not-found' && error.code !== 'conflict'
}

/** Standard output that says `text` and ends; input is discarded. */
function oneMessage(text: string, tty: boolean): Duplex {
  const payload = Buffer.from(text)
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
  header.writeUInt32BE(payload.length, 4)
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  stream.push(tty ? payload : Buffer.concat([header, payload]))
  stream.push(null)
  return stream
}
