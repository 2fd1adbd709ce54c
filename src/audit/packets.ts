/** Sockets by system calls: addresses, UDP between two guests, and listening on the wire. */
import type { Canary } from './canary.ts'
import type { Guest } from './guest-types.ts'

const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const AF_PACKET = 17
const SOCK_RAW = 3
const ETH_P_ALL = 0x0003
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SO_RCVBUF = 8

export function inetAddress(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16LE(AF_INET, 0)
  bytes.writeUInt16BE(port, 2)
  for (const [index, part] of host.split('.').entries()) bytes[4 + index] = Number(part)
  return bytes
}

/** A bound UDP socket inside; its descriptor. */
export async function listenUdp(guest: Guest, port: number): Promise<bigint> {
  const [socket, bound] = await guest.batch([
    { name: 'socket', args: [AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0], ends: true },
    { name: 'bind', args: [{ result: 0 }, { in: inetAddress('0.0.0.0', port) }, 16] },
  ])
  if (socket === undefined || bound?.error !== '')
    throw new Error(`listening on UDP ${port} inside failed: ${bound?.error ?? socket?.error ?? ''}`)
  return socket.value
}

/** The name of the error, '' when it was sent. */
export async function sendUdp(guest: Guest, host: string, port: number, bytes: Buffer): Promise<string> {
  const answers = await guest.batch([
    { name: 'socket', args: [AF_INET, SOCK_DGRAM, 0], ends: true },
    {
      name: 'sendto',
      args: [{ result: 0 }, { in: bytes }, bytes.length, 0, { in: inetAddress(host, port) }, 16],
    },
    { name: 'close', args: [{ result: 0 }] },
  ])
  return answers[1]?.error ?? 'NOT-MADE'
}

/** A packet socket on all interfaces; a word when it is refused. */
export async function sniff(guest: Guest): Promise<bigint | string> {
  const protocol = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8)
  const opened = await guest.syscall('socket', AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, protocol)
  if (opened.error !== '') return opened.error
  const size = Buffer.alloc(4)
  size.writeUInt32LE(4 << 20)
  await guest.syscall('setsockopt', opened.value, SOL_SOCKET, SO_RCVBUFFORCE, { in: size }, 4)
  await guest.syscall('setsockopt', opened.value, SOL_SOCKET, SO_RCVBUF, { in: size }, 4)
  return opened.value
}

/** Of 64 packets each: a bound for a wire that never falls silent, far beyond what a socket holds. */
const ROUNDS = 4000

/** Reads a non-blocking socket until nothing waits; of each word the pieces that hold it. */
export async function sift(
  guest: Guest,
  fd: bigint,
  canaries: readonly Canary[],
  rounds = ROUNDS,
): Promise<readonly (readonly Buffer[])[]> {
  const read = { name: 'recvfrom', args: [fd, { out: 2048, short: true }, 2048, 0, 0, 0] as const }
  const held = canaries.map((): Buffer[] => [])
  for (let round = 0; round < rounds; round += 1) {
    const answers = await guest.batch(Array.from({ length: 64 }, () => read))
    const pieces = answers.flatMap(({ out }) => out)
    for (const [index, { bytes }] of canaries.entries())
      held[index]?.push(...pieces.filter((piece) => piece.includes(bytes)))
    if (answers.some(({ error }) => error !== '')) break
  }
  return held
}

export async function receive(
  guest: Guest,
  fd: bigint,
  canary: Canary,
  rounds = ROUNDS,
): Promise<readonly Buffer[]> {
  return (await sift(guest, fd, [canary], rounds))[0] ?? []
}

const SOL_PACKET = 263
const PACKET_STATISTICS = 6

/** Packets that a capture had no room for since it was last asked; packet(7). */
export async function lost(guest: Guest, wire: bigint): Promise<number> {
  const length = { inout: Buffer.from([8, 0, 0, 0]) }
  const { error, out } = await guest.syscall(
    ...(['getsockopt', wire, SOL_PACKET, PACKET_STATISTICS, { out: 8 }, length] as const),
  )
  return error === '' ? (out[0]?.readUInt32LE(4) ?? Number.NaN) : Number.NaN
}

/** Sends until the other has it: the first packets of a new network may be lost while its addresses are learnt. */
export async function exchange(
  from: Guest,
  to: { readonly guest: Guest; readonly fd: bigint; readonly host: string; readonly port: number },
  canary: Canary,
): Promise<boolean> {
  for (let tries = 0; tries < 50; tries += 1) {
    await sendUdp(from, to.host, to.port, canary.bytes)
    const [wait] = [await to.guest.syscall('poll', { inout: pollOf(to.fd) }, 1, 200)]
    if (wait.value > 0n && (await receive(to.guest, to.fd, canary, 1)).length > 0) return true
  }
  return false
}

/** struct pollfd for POLLIN. */
export function pollOf(fd: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32LE(Number(fd), 0)
  bytes.writeInt16LE(1, 4)
  return bytes
}

/** `DEST SOURCE TYPE` of an Ethernet frame, for evidence. */
export function describeFrame(frame: Buffer): string {
  const address = (from: number): string =>
    [...frame.subarray(from, from + 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
  return `${frame.length} bytes from ${address(6)} to ${address(0)}`
}
