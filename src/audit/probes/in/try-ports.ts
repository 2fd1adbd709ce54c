/** Which addresses take a connection from inside: many at once, for a firewall that drops costs each its patience. */
import { isIPv6 } from 'node:net'
import { internetAddress } from '../../guest-files.ts'
import type { Answer, Call, Guest } from '../../guest-types.ts'
import type { Control } from '../../types.ts'

const [AF_INET, AF_INET6, STREAM, NONBLOCKING] = [2, 10, 1, 0o4000]
/** Of sockets in one child: below any limit of open files that programs run with. */
const AT_ONCE = 32
/** ms: an answer from near comes at once; a firewall that drops says nothing. */
const [SOON, PATIENCE] = [100, 1500]
/** ms: an address of IPv6 is no one's until nobody else has claimed it (tentative, RFC 4862). */
const TENTATIVE = 3000

export interface Place {
  readonly address: string
  readonly port: number
  /** Number of the guest's interface, for a link-local address. */
  readonly link?: number
}

export function socketAddress({ address, port, link = 0 }: Place): Buffer {
  const to = internetAddress(address, port)
  if (isIPv6(address)) to.writeUInt32LE(link, 24)
  return to
}

/** What a try gave: '' when connected; the name of the error; TIMEOUT; NOT-MADE when it was not even tried. */
export type Tried = string

/** One for each place, in their order. */
export async function tryPorts(
  guest: Guest,
  places: readonly Place[],
  signal: AbortSignal,
): Promise<readonly Tried[]> {
  const all = await inPieces(guest, places, SOON, signal)
  await again(all, 'TIMEOUT', (rest) => inPieces(guest, rest, PATIENCE, signal))
  const until = performance.now() + TENTATIVE
  while (all.some(({ tried }) => tried === 'EADDRNOTAVAIL') && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    await again(all, 'EADDRNOTAVAIL', (rest) => inPieces(guest, rest, SOON, signal))
  }
  return all.map(({ tried }) => tried)
}

/** What was not tried refused nothing. */
export function allTried(tried: readonly Tried[]): Control {
  const count = tried.filter((one) => one !== 'NOT-MADE').length
  return { what: `each address was tried (${count} of ${tried.length})`, held: count === tried.length }
}

interface Attempt {
  readonly place: Place
  tried: Tried
}

/** Those that ended so, once more. */
async function again(
  all: readonly Attempt[],
  word: Tried,
  once: (rest: readonly Place[]) => Promise<readonly Attempt[]>,
): Promise<void> {
  const rest = all.filter(({ tried }) => tried === word)
  const news = await once(rest.map(({ place }) => place))
  for (const [index, attempt] of rest.entries()) attempt.tried = news[index]?.tried ?? 'NOT-MADE'
}

async function inPieces(
  guest: Guest,
  places: readonly Place[],
  patience: number,
  signal: AbortSignal,
): Promise<readonly Attempt[]> {
  const attempts: Attempt[] = []
  for (let at = 0; at < places.length; at += AT_ONCE) {
    signal.throwIfAborted()
    const piece = places.slice(at, at + AT_ONCE)
    // Long beyond its own pause: a machine under load takes its time to fork.
    const answers = await guest.inChild(callsOf(piece, patience), patience + 15_000)
    attempts.push(...piece.map((place, index) => ({ place, tried: triedOf(answers, index, piece.length) })))
  }
  return attempts
}

/** connect(2) without waiting, a pause for all, and connect(2) again, which says what became of it. */
function callsOf(places: readonly Place[], patience: number): readonly Call[] {
  const connect = (place: Place, index: number): Call => {
    const to = socketAddress(place)
    return { name: 'connect', args: [{ result: 2 * index }, { in: to }, to.length] }
  }
  return [
    ...places.flatMap((place, index): readonly Call[] => [
      {
        name: 'socket',
        args: [isIPv6(place.address) ? AF_INET6 : AF_INET, STREAM | NONBLOCKING, 0],
      },
      connect(place, index),
    ]),
    { name: 'nanosleep', args: [{ in: pauseOf(patience) }, 0] },
    ...places.map(connect),
  ]
}

/** struct timespec. */
function pauseOf(milliseconds: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0)
  bytes.writeBigInt64LE(BigInt(milliseconds % 1000) * 1_000_000n, 8)
  return bytes
}

export function triedOf(answers: readonly Answer[], index: number, count: number): Tried {
  const errorOf = (at: number): string => answers[at]?.error ?? 'NOT-MADE'
  const [socket, first, second] = [2 * index, 2 * index + 1, 2 * count + 1 + index].map(errorOf)
  // The child was killed: who has not come that far has tried nothing.
  if (socket === 'TIMEOUT' || first === 'TIMEOUT') return 'NOT-MADE'
  if (socket !== '') return socket ?? 'NOT-MADE'
  if (first !== 'EINPROGRESS') return first ?? 'NOT-MADE'
  if (second === '' || second === 'EISCONN') return ''
  return second === 'EALREADY' ? 'TIMEOUT' : second === 'TIMEOUT' ? 'NOT-MADE' : (second ?? 'NOT-MADE')
}
