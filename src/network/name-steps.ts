/**
 * What makes 127.0.0.11:53 of a container lead to the engine: two sockets in its namespace at a port nobody else
 * wants, handed to the engine, and a rule there that sends port 53 to them. Port 53 itself stays free for a name
 * server that listens on all addresses of the container.
 */
import { createHash } from 'node:crypto'
import { NftBatch } from '../kernel/nftables.ts'
import * as x from '../kernel/nftables-expression.ts'
import type { Expression } from '../kernel/nftables-expression.ts'
import type { Actor, Step } from '../kernel/plan.ts'
import { LIMITS } from './name-server.ts'

export const NAME_SERVER = '127.0.0.11'
const ADDRESS = Uint8Array.from([127, 0, 0, 11])
const TABLE = 'dewar_names'
const NEWNET = 0x40000000
/** Above the ports the kernel hands out by itself (net.ipv4.ip_local_port_range). */
const FIRST_PORT = 61_000
const PORTS = 4_000

/** A socket's name on its way to the engine. */
export const lentTo = (containerId: string): string => `names ${containerId}`
export const containerOf = (lent: string): string | undefined => /^names ([0-9a-f]+)$/.exec(lent)?.[1]

/** Steps in the container's own namespace, where lo is up. Can be done again; `attempt` chooses another port. */
export function nameServerSteps(actor: Actor, containerId: string, attempt = 0): Step[] {
  const hash = createHash('sha256').update(`${containerId} ${attempt}`).digest()
  const port = FIRST_PORT + (hash.readUInt32LE(0) % PORTS)
  const lend = (protocol: 'tcp' | 'udp'): Step => ({
    actor,
    op: 'reserve-port',
    protocol,
    address: ADDRESS,
    port,
    lendAs: lentTo(containerId),
  })
  return [lend('udp'), lend('tcp'), redirectStep(actor, port)]
}

/** The same for a container that runs already. `pid`: of its first process. */
export function enterSteps(pid: number): Step[] {
  return [
    { actor: 'host', op: 'open', path: `/proc/${pid}/ns/net`, slot: 0, flags: 0 },
    { actor: 'host', op: 'setns', slot: 0, flags: NEWNET },
  ]
}

function redirectStep(actor: Actor, port: number): Step {
  const batch = new NftBatch()
  // What an earlier engine wrote goes; in a new namespace there is nothing, and deleting waits for the kernel's readers.
  if (actor !== 'guest') batch.table('ip', TABLE).deleteTable('ip', TABLE)
  batch.table('ip', TABLE)
  const toServer: Expression[] = [x.payload('network', 16, 4), x.compare('==', ADDRESS)]
  batch.chain('ip', TABLE, { name: 'budget', type: 'filter', hook: 'output', priority: -150 })
  const isUdp = [x.meta('l4proto'), x.compare('==', Uint8Array.of(17))]
  batch.rule('ip', TABLE, 'budget', [...toServer, ...isUdp, x.limitOver(LIMITS.rate), x.verdict('drop')])
  batch.chain('ip', TABLE, { name: 'output', type: 'nat', hook: 'output', priority: -100 })
  for (const protocol of [6, 17]) {
    batch.rule('ip', TABLE, 'output', [
      ...toServer,
      x.meta('l4proto'),
      x.compare('==', Uint8Array.of(protocol)),
      x.payload('transport', 2, 2),
      x.compare('==', Uint8Array.of(0, 53)),
      x.immediate(0, ADDRESS),
      x.immediate(1, Uint8Array.of(port >> 8, port & 255)),
      x.destinationNat(4),
    ])
  }
  return batch.step(actor, `send ${NAME_SERVER}:53 to the engine's name server`)
}
