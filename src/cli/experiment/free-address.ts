import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { DewarError, errnoOf } from '../../base/errors.ts'

/** The first port from `wanted` on that nobody listens on, on any address. Throws unavailable after 200 tries. */
export async function freePort(wanted: number): Promise<number> {
  for (let port = wanted; port < wanted + 200 && port < 65536; port++) {
    if (await isFree(port)) return port
  }
  throw new DewarError('unavailable', `cannot find a free port from ${wanted} on`, {
    remedy: 'stop what listens there',
  })
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port), 'listening')
    return true
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return false
    throw error
  } finally {
    server.close()
  }
}

/** A /24 of 10.0.0.0/8 that no route of this machine touches. */
export async function freeSubnet(): Promise<string> {
  const routes = parseRoutes(await readFile('/proc/net/route', 'utf8'))
  for (let i = 0; i < 1000; i++) {
    const network = (10 << 24) | (randomInt(128, 256) << 16) | (randomInt(256) << 8)
    if (!routes.some((route) => overlaps(route, network >>> 0))) return `${dotted(network >>> 0)}/24`
  }
  throw new DewarError('unavailable', 'cannot find a free subnet in 10.128.0.0/9', {
    remedy: 'remove a route that covers all of it',
  })
}

export interface Route {
  readonly network: number
  readonly mask: number
}

/** /proc/net/route as proc(5) has it, numbers in the host's (little-endian) order. The default route is left out. */
export function parseRoutes(text: string): Route[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .map((fields) => ({ network: swapped(fields[1] ?? ''), mask: swapped(fields[7] ?? '') }))
    .filter(({ mask }) => mask > 0)
}

function swapped(hex: string): number {
  const bytes = Buffer.from(hex.trim().padStart(8, '0'), 'hex')
  return bytes.length === 4 ? bytes.readUInt32LE(0) : 0
}

function overlaps(route: Route, network: number): boolean {
  const mask = (route.mask & 0xffffff00) >>> 0
  return (route.network & mask) >>> 0 === (network & mask) >>> 0
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}
