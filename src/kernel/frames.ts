/** Frames between the engine and the native core: u32 length (little endian) of type and payload, u8 type, payload. */
import { closeSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import type { Readable } from 'node:stream'
import type { Plan } from './plan.ts'
import { errnoName, PlanFailed } from './plan-failed.ts'

export interface Frame {
  readonly type: string
  readonly payload: Buffer
}

export function frame(type: string, ...payload: readonly Uint8Array[]): Buffer {
  const size = payload.reduce((sum, part) => sum + part.length, 1)
  const head = Buffer.allocUnsafe(5)
  head.writeUInt32LE(size, 0)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, ...payload])
}

/** Numbers as consecutive u32. */
export function u32(...numbers: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(4 * numbers.length)
  numbers.forEach((n, i) => out.writeUInt32LE(n >>> 0, 4 * i))
  return out
}

/** The error in an `F` frame: u32 step, u32 errno, path. */
export function failureOf(payload: Buffer, plan?: Plan): PlanFailed {
  const step = payload.readUInt32LE(0)
  const failed = plan?.steps[step]
  const within = failed !== undefined && 'within' in failed ? (failed.within ?? '') : ''
  return new PlanFailed({
    step,
    op: failed?.op ?? 'request',
    errno: errnoName(payload.readUInt32LE(4)),
    path: `${within}${payload.toString('utf8', 8)}`,
  })
}

/**
 * Calls `take` for each whole frame that arrives. With `flow` the payload of D frames goes there instead, in the pieces
 * it comes in: to gather them cost two copies of all that `docker cp` reads, and more time in the garbage collector.
 */
export function onFrames(
  socket: Readable,
  take: (frame: Frame) => void,
  flow?: (part: Buffer) => void,
): void {
  let rest: Buffer = Buffer.alloc(0)
  let flowing = 0
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      if (flowing > 0 && rest.length > 0) {
        const part = rest.subarray(0, flowing)
        flowing -= part.length
        rest = rest.subarray(part.length)
        flow?.(part)
      }
      if (rest.length < 5) return
      const size = rest.readUInt32LE(0)
      const type = String.fromCharCode(rest[4] ?? 0)
      if (flow !== undefined && type === 'D') {
        flowing = size - 1
        rest = rest.subarray(5)
        continue
      }
      if (rest.length < 4 + size) return
      const payload = rest.subarray(5, 4 + size)
      rest = rest.subarray(4 + size)
      take({ type, payload })
    }
  })
}

/** sockaddr_un holds 108 bytes; a longer path is reached through a descriptor of its folder. */
const SUN_PATH_MAX = 107

/** Connects to a unix socket however long its path is. Rejects with the system error. */
export function connectUnix(path: string): Promise<Socket> {
  const folder = Buffer.byteLength(path) > SUN_PATH_MAX ? openSync(dirname(path), 'r') : undefined
  const short = folder === undefined ? path : `/proc/self/fd/${folder}/${basename(path)}`
  return new Promise((resolve, reject) => {
    const socket = connect({ path: short, allowHalfOpen: true })
    const done = (act: () => void): void => {
      if (folder !== undefined) closeSync(folder)
      socket.removeAllListeners('error')
      act()
    }
    socket.once('connect', () => done(() => resolve(socket)))
    socket.once('error', (error) => done(() => reject(error)))
  })
}
