/** The unix socket the API is served on. */
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'

const ANSWER_TIMEOUT_MS = 2_000

/**
 * Listens on `path`: 0660 for the group docker where the host has one, else 0600. A socket nobody answers on is
 * replaced. Throws conflict when somebody does, or when the path is something else than a socket.
 */
export async function listenOn(server: Server, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
  await clearStaleSocket(path)
  // The socket is made with the umask's bits; between bind(2) and chmod(2) it must not be open to others.
  const umask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => reject(cannotListen(path, messageOf(error), error))
      server.once('error', failed)
      server.listen({ path, backlog: 1024 }, () => {
        server.off('error', failed)
        resolve()
      })
    })
  } finally {
    process.umask(umask)
  }
  const group = process.getuid?.() === 0 ? dockerGroup() : undefined
  if (group === undefined) return
  chownSync(path, 0, group)
  chmodSync(path, 0o660)
}

/** Makes room for a socket. Throws conflict when an engine answers there, or when it is something else. */
export async function clearStaleSocket(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there === undefined) return
  if (!there.isSocket()) throw cannotListen(path, 'it exists and is no socket')
  if (await answers(path)) {
    throw new DewarError('conflict', `Starting the engine failed: another engine answers on ${path}`, {
      remedy: 'stop it, or listen elsewhere with -H',
    })
  }
  unlinkSync(path)
}

function cannotListen(path: string, reason: string, cause?: unknown): DewarError {
  return new DewarError('conflict', `Starting the engine failed: cannot listen on ${path}: ${reason}`, {
    cause,
    remedy: 'remove it, or listen elsewhere with -H',
  })
}

/** Whether a process listens there. One that is too busy to answer is alive. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    const settle = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', (error) => {
      const code = errnoOf(error)
      if (code === 'ECONNREFUSED' || code === 'ENOENT') return settle(false)
      if (code === 'EAGAIN') return settle(true)
      reject(cannotListen(path, messageOf(error), error))
    })
  })
}

/** The id of the group docker in /etc/group, undefined when there is none. */
function dockerGroup(): number | undefined {
  try {
    const entry = /^docker:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))
    return entry === null ? undefined : Number(entry[1])
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
