/** One engine per root folder: two would give the same addresses and ids away and end each other's containers. */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { DewarError, errnoOf } from '../base/errors.ts'

/**
 * An abstract unix socket (unix(7)) named after the folder's device and inode: the kernel gives it to one process and
 * takes it back however that process ends, so there is nothing stale to find. And it works on a full disk. NOT
 * protected: an engine in another network namespace with the same root but a run folder of its own.
 */
export async function lockRoot(root: string): Promise<AsyncDisposable> {
  const { dev, ino } = statSync(root)
  const name = createHash('sha256').update(`${dev} ${ino}`).digest('hex')
  const server = createServer((socket) => socket.destroy())
  await listen(server, `\0dewar-root-${name}`, root)
  server.unref()
  return {
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

function listen(server: Server, path: string, root: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const taken = errnoOf(cause) === 'EADDRINUSE'
      const why = taken ? `another engine uses ${root}` : `locking ${root} failed: ${cause.message}`
      const remedy = taken ? 'stop it first, or choose another folder with --root' : 'see the cause'
      reject(new DewarError('conflict', `Opening the engine failed: ${why}`, { cause, remedy }))
    })
    server.listen(path, () => resolve())
  })
}
