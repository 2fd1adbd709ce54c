import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * A TCP port of the loopback that is free now and that no connection takes before it is used: below those that the kernel
 * gives to connections (ip_local_port_range, from 32,768 on).
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(20_000, 32_000)
    const server = createServer()
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise((resolve) => server.close(resolve))
    if (free) return port
  }
  throw new Error('finding a free port: 100 between 20,000 and 32,000 were all in use')
}
