/** Ethernet frames as an attacker writes them, and how they are sent and seen. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesOf } from '../../src/network/address.ts'
import { parseMac } from '../../src/network/ipam.ts'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import { until } from '../harness/until.ts'

/** Writes down each frame that comes in on eth0, in hex. */
const SEE = `
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); s.bind(('eth0', 0))
print('ready', flush=True)
while True:
    frame, (_, _, kind, *_) = s.recvfrom(65535)
    if kind != 4: print(frame.hex(), flush=True)
`
const SEND = `
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0))
for line in sys.stdin.read().split(): s.send(bytes.fromhex(line))
`

export type Bytes = readonly number[] | Uint8Array
export const joined = (...parts: readonly Bytes[]): Buffer =>
  Buffer.concat(parts.map((part) => Uint8Array.from(part)))

export const mac = parseMac
export const ip = bytesOf

export const TYPE = {
  ip: [8, 0],
  arp: [8, 6],
  ip6: [0x86, 0xdd],
  vlan: [0x81, 0],
  rarp: [0x80, 0x35],
} as const

export function frame(to: Bytes, from: Bytes, type: Bytes, ...body: readonly Bytes[]): Buffer {
  return joined(to, from, type, ...body)
}

let marks = 0
/** Eight bytes that no other frame ends with, in the form of an option that ICMPv6 does not know. */
export function mark(): Bytes {
  marks += 1
  return [253, 1, 0x6d, 0x61, 0x72, 0x6b, marks >> 8, marks & 255]
}

/** What an ARP message says of its sender. */
export function arp(
  operation: 1 | 2,
  sender: { mac: Bytes; ip: Bytes },
  target: { mac: Bytes; ip: Bytes },
): Buffer {
  return joined(
    [0, 1, 8, 0, 6, 4, 0, operation],
    sender.mac,
    sender.ip,
    target.mac,
    target.ip,
    new Uint8Array(32),
    mark(),
  )
}

/** An IPv4 datagram of UDP. */
export function udp4(from: Bytes, to: Bytes): Buffer {
  const header = joined([0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0], from, to)
  header.writeUInt16BE(checksum(header), 10)
  return joined(header, [0, 9, 0, 9, 0, 40, 0, 0], new Uint8Array(24), mark())
}

/** RFC 1071. */
function checksum(header: Buffer): number {
  let sum = 0
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at)
  return ~((sum & 0xffff) + (sum >> 16)) & 0xffff
}

export const udp6 = (from: Bytes, to: Bytes): Buffer => ip6(17, from, to, [0, 9, 0, 9, 0, 16, 0, 0])

export function ip6(next: number, from: Bytes, to: Bytes, body: Bytes): Buffer {
  const length = body.length + 8
  return joined([0x60, 0, 0, 0, length >> 8, length & 255, next, 255], from, to, body, mark())
}

/** An ICMPv6 message about `target`, with the option that names a link address. */
export function icmp6(type: number, target: Bytes, link: Bytes): Buffer {
  return joined([type, 0, 0, 0, 0x20, 0, 0, 0], target, [type === 135 ? 1 : 2, 1], link)
}

/** The same, taken apart at multiples of eight bytes: IPv6 packets of which only the whole means something. */
export function fragments6(
  next: number,
  from: Bytes,
  to: Bytes,
  body: Bytes,
  sizes: readonly number[],
): Buffer[] {
  const whole = Buffer.from(body)
  const ends = [...sizes, whole.length]
  return ends.map((end, n) => {
    const start = ends[n - 1] ?? 0
    const place = start | (end < whole.length ? 1 : 0)
    const head = [next, 0, place >> 8, place & 255, 0, 0, 0x12, marks & 255]
    const length = 8 + end - start
    return joined(
      [0x60, 0, 0, 0, length >> 8, length & 255, 44, 255],
      from,
      to,
      head,
      whole.subarray(start, end),
    )
  })
}

/** An ICMPv6 message with its checksum, for who really reads it. */
export function summed6(from: Bytes, to: Bytes, message: Bytes): Buffer {
  const bytes = Buffer.from(message)
  const odd = joined(from, to, [0, 0, bytes.length >> 8, bytes.length & 255, 0, 0, 0, 58], bytes)
  bytes.writeUInt16BE(checksum(odd), 2)
  return bytes
}

/** An option that nobody knows and all pass over, with a number: no other is the same. */
export function unknown6(next: number): Bytes {
  marks += 1
  return [next, 0, 0x1e, 4, 0x6d, 0x6b, marks >> 8, marks & 255]
}

/** Six bytes of padding in an extension header that says what comes next. */
export const options6 = (next: number): Bytes => [next, 0, 1, 4, 0, 0, 0, 0]

let seen = 0

/**
 * Sends the frames from one container and gives the names of those that came to another. The last must come: it is the
 * control, and says when all others should have.
 */
export async function arrivals(
  frames: Readonly<Record<string, Buffer>>,
  place: { readonly from: readonly string[]; readonly to: readonly string[]; readonly folder: string },
): Promise<string[]> {
  seen += 1
  const log = join(place.folder, `frames-${seen}.log`)
  const read = (): Promise<string> => readFile(log, 'utf8').catch(() => '')
  await using seer = background([...place.to, 'python3', '-c', SEE], log)
  await until('the socket', async () => (await read()).includes('ready'))
  const all = Object.entries(frames)
  const input = all.map(([, bytes]) => bytes.toString('hex')).join('\n')
  await command([...place.from, 'python3', '-c', SEND], { input, check: true })
  const came = (text: string, bytes: Buffer): boolean => text.includes(bytes.subarray(-8).toString('hex'))
  const last = all.at(-1)?.[1]
  await until('the last frame', async () => last !== undefined && came(await read(), last))
  const text = await read()
  void seer
  return all.filter(([, bytes]) => came(text, bytes)).map(([name]) => name)
}
