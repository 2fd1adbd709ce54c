/** Questions to a name server as they should be, and as nobody should send them. */

/** Number of the question that must be answered after all others. */
export const CONTROL = 0xbeef

export interface QuestionOptions {
  readonly type?: number
  /** 1 is the internet. */
  readonly kind?: number
  /** EDNS: the largest datagram taken. */
  readonly size?: number
}

export function question(
  name: string,
  id: number,
  { type = 1, kind = 1, size }: QuestionOptions = {},
): Buffer {
  const labels = name === '' ? [] : name.split('.').map((label) => Buffer.from(label))
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), label])
  return message(id, Buffer.concat([...parts, Buffer.from([0, 0, type, 0, kind])]), size)
}

function message(id: number, asked: Buffer, size?: number): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(0x100, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(size === undefined ? 0 : 1, 10)
  return Buffer.concat([header, asked, ...(size === undefined ? [] : [edns(size)])])
}

const edns = (size: number): Buffer => Buffer.from([0, 0, 41, size >> 8, size & 255, 0, 0, 0, 0, 0, 0])

/** Each cut short, each byte wrong, counts and lengths that lie, pointers in a circle, names beyond all limits, noise. */
export function malformedQuestions(name: string): Buffer[] {
  const good = question(name, 1, { size: 512 })
  const cut = Array.from(good, (_, length) => good.subarray(0, length))
  const wrong = Array.from(good, (_, at) => [0xff, 0x80, 0xc0, 0].map((byte) => withByte(good, at, byte)))
  const counts = [4, 6, 8, 10].flatMap((at) => [0, 2, 0xffff].map((count) => withCount(good, at, count)))
  const opcodes = Array.from({ length: 16 }, (_, opcode) => withByte(good, 2, opcode << 3))
  const end = [0, 0, 1, 0, 1]
  const names = [
    [0xc0, 12, ...end.slice(1)],
    [0xc0, 14, 0xc0, 12, ...end.slice(1)],
    [0x40, 1, ...end],
    [0x80, 1, ...end],
    [63, ...end],
    Array.from({ length: 127 }, () => [1, 97])
      .flat()
      .concat(end),
    Array.from({ length: 128 }, () => [1, 97])
      .flat()
      .concat(end),
    Array.from({ length: 900 }, () => [1, 97])
      .flat()
      .concat(end),
    [...[1, 2, 3, 4].flatMap(() => [63, ...new Array<number>(63).fill(98)]), ...end],
    [3, 0, 46, 10, ...end],
  ].map((bytes) => message(2, Buffer.from(bytes)))
  const additional = [
    Buffer.concat([edns(512), edns(512)]),
    Buffer.concat([Buffer.from([1, 97]), edns(512)]),
    Buffer.from([0xc0, 12, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from([0, 0, 41, 2, 0, 0, 0, 0, 0, 0xff, 0xff]),
  ].map((more) => withCount(Buffer.concat([question(name, 3), more]), 10, 2))
  const noise = Array.from({ length: 200 }, (_, n) => noiseOf(n))
  return [
    ...cut,
    ...wrong.flat(),
    ...counts,
    ...opcodes,
    ...names,
    ...additional,
    ...noise,
    Buffer.alloc(65_000),
  ]
}

function withByte(packet: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(packet)
  copy[at] = byte
  return copy
}

function withCount(packet: Buffer, at: number, count: number): Buffer {
  const copy = Buffer.from(packet)
  copy.writeUInt16BE(count, at)
  return copy
}

/** The same each time: what fails can be tried again. */
function noiseOf(seed: number): Buffer {
  let state = seed * 2654435761 + 1
  return Buffer.from(
    Array.from({ length: (seed * 7) % 600 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    }),
  )
}
