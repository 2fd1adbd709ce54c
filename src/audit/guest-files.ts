/** Files, folders and sockets as a guest sees them, made of system calls. */
import { isIPv6 } from 'node:net'
import { GuestError } from './guest-error.ts'
import type { Answer, Argument, Call, Entry, Guest, GuestStat } from './guest-types.ts'

/** Values of asm-generic, the same on x86_64 and aarch64 except O_DIRECTORY and its like, which are not used. */
export const AT_FDCWD = -100
export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
const O_CREAT = 0o100
const O_TRUNC = 0o1000
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000
const AT_SYMLINK_NOFOLLOW = 0x100
const STATX_BASIC = 0x7ff
const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1

/** More than any file of /proc that a probe reads; whole files are cut here. */
const READ_LIMIT = 1 << 20
const PIECE = 1 << 16

type Make = (calls: readonly Call[], milliseconds?: number) => Promise<readonly Answer[]>
type Files = Pick<
  Guest,
  | 'readFile'
  | 'tryOpen'
  | 'writeFile'
  | 'listFolder'
  | 'readLink'
  | 'stat'
  | 'unlink'
  | 'makeFolder'
  | 'connect'
>

/** The calls that open a path, read `pieces` pieces of it and close it. */
export function readCalls(path: string, pieces: number, at = 0, size = PIECE): readonly Call[] {
  return [
    { name: 'openat', args: [AT_FDCWD, { in: path }, O_RDONLY | O_NONBLOCK | O_CLOEXEC] },
    ...Array.from({ length: pieces }, () => ({
      name: 'read',
      args: [{ result: at }, { out: size, short: true }, size],
    })),
    { name: 'close', args: [{ result: at }] },
  ]
}

export function guestFiles(batch: Make, inChild: Make): Files {
  const must = async (action: string, calls: readonly Call[]): Promise<readonly Answer[]> => {
    const answers = await batch(calls)
    const bad = answers.find(({ error }) => error !== '' && error !== 'NOT-MADE')
    if (bad !== undefined) throw new GuestError(bad.error, `${action} inside failed: ${bad.error}`)
    return answers
  }
  return {
    readFile: (path, limit = READ_LIMIT) => readFile(batch, path, limit),
    listFolder: (path) => listFolder(batch, path),
    async tryOpen(path, flags = O_RDONLY) {
      const [opened] = await batch([
        { name: 'openat', args: [AT_FDCWD, { in: path }, flags | O_NONBLOCK | O_CLOEXEC], ends: true },
        { name: 'close', args: [{ result: 0 }] },
      ])
      return opened?.error === '' ? undefined : (opened?.error ?? 'NOT-MADE')
    },
    async writeFile(path, content, options = {}) {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
      await must(`writing ${path}`, [
        { name: 'openat', args: [AT_FDCWD, { in: path }, flags, options.mode ?? 0o644], ends: true },
        { name: 'write', args: [{ result: 0 }, { in: bytes }, bytes.length] },
        ...(options.sync ? [{ name: 'fsync', args: [{ result: 0 }] }] : []),
        { name: 'close', args: [{ result: 0 }] },
      ])
    },
    async readLink(path) {
      const args = [AT_FDCWD, { in: path }, { out: 4096, short: true }, 4096]
      const [answer] = await must(`reading the link ${path}`, [{ name: 'readlinkat', args }])
      return answer?.out[0]?.toString() ?? ''
    },
    async stat(path) {
      const args = [AT_FDCWD, { in: path }, AT_SYMLINK_NOFOLLOW, STATX_BASIC, { out: 256 }]
      const [answer] = await must(`looking at ${path}`, [{ name: 'statx', args }])
      return statOf(answer?.out[0] ?? Buffer.alloc(256))
    },
    async unlink(path) {
      await must(`removing ${path}`, [{ name: 'unlinkat', args: [AT_FDCWD, { in: path }, 0] }])
    },
    async makeFolder(path, mode = 0o755) {
      await must(`making the folder ${path}`, [{ name: 'mkdirat', args: [AT_FDCWD, { in: path }, mode] }])
    },
    async connect(where, milliseconds = 2000) {
      // In a child, because only killing ends a connect to an address that nobody answers.
      const answers = await inChild(
        [
          { name: 'socket', args: [familyOf(where), SOCK_STREAM, 0], ends: true },
          { name: 'connect', args: [{ result: 0 }, ...addressOf(where)] },
        ],
        milliseconds,
      )
      const failed = answers.find(({ error }) => error !== '')
      return failed?.error
    },
  }
}

async function readFile(batch: Make, path: string, limit: number): Promise<Buffer> {
  // Most files end within two pieces: one question, one answer.
  const [opened, ...reads] = await batch(readCalls(path, 3))
  if (opened === undefined || opened.error !== '') throw failedToRead(path, opened)
  const pieces = reads.slice(0, 3)
  const whole = contentOf(path, pieces)
  if (whole.length >= limit || pieces.some(({ value }) => value === 0n)) return whole.subarray(0, limit)
  return readOn(batch, path, limit)
}

/** From the start again: many files of /proc cannot be sought in. */
async function readOn(batch: Make, path: string, limit: number): Promise<Buffer> {
  const pieces = Math.min(Math.ceil(limit / 1024), 64)
  const [opened] = await batch(readCalls(path, 0).slice(0, 1))
  if (opened === undefined || opened.error !== '') throw failedToRead(path, opened)
  const read: Call = { name: 'read', args: [opened.value, { out: PIECE, short: true }, PIECE], ends: true }
  const content: Buffer[] = []
  try {
    for (let have = 0; have < limit;) {
      const answers = await batch(Array.from({ length: pieces }, () => read))
      const part = contentOf(path, answers)
      content.push(part)
      have += part.length
      if (part.length === 0 || answers.some(({ value }) => value === 0n)) break
    }
  } finally {
    await batch([{ name: 'close', args: [opened.value] }])
  }
  return Buffer.concat(content).subarray(0, limit)
}

function contentOf(path: string, reads: readonly Answer[]): Buffer {
  const [first] = reads
  if (first !== undefined && first.error !== '') throw failedToRead(path, first)
  return Buffer.concat(reads.flatMap(({ out }) => out))
}

function failedToRead(path: string, answer: Answer | undefined): GuestError {
  const error = answer?.error ?? 'NOT-MADE'
  return new GuestError(error, `reading ${path} inside failed: ${error}`)
}

const TYPES: Readonly<Record<number, Entry['type']>> = { 4: 'directory', 8: 'file', 10: 'link' }

async function listFolder(batch: Make, path: string): Promise<readonly Entry[]> {
  const [opened] = await batch(readCalls(path, 0).slice(0, 1))
  if (opened === undefined || opened.error !== '') throw failedToRead(path, opened)
  const entries: Entry[] = []
  try {
    // Bounded: a folder that never ends is given up after 64 MB.
    for (let round = 0; round < 1024; round += 1) {
      const [answer] = await batch([
        { name: 'getdents64', args: [opened.value, { out: PIECE, short: true }, PIECE] },
      ])
      if (answer === undefined || answer.error !== '') throw failedToRead(path, answer)
      if (answer.value <= 0n) break
      entries.push(...entriesOf(answer.out[0] ?? Buffer.alloc(0)))
    }
  } finally {
    await batch([{ name: 'close', args: [opened.value] }])
  }
  return entries.filter(({ name }) => name !== '.' && name !== '..')
}

/** struct linux_dirent64: u64 inode, i64 offset, u16 length, u8 type, name. What is cut short is left out. */
export function entriesOf(bytes: Buffer): readonly Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at + 19 <= bytes.length;) {
    const length = bytes.readUInt16LE(at + 16)
    if (length < 20 || at + length > bytes.length) break
    const name = bytes.subarray(at + 19, at + length)
    const end = name.indexOf(0)
    entries.push({
      name: name.subarray(0, end < 0 ? name.length : end).toString(),
      type: TYPES[bytes[at + 18] ?? 0] ?? 'other',
    })
    at += length
  }
  return entries
}

/** struct statx (statx(2)). */
function statOf(bytes: Buffer): GuestStat {
  return {
    uid: bytes.readUInt32LE(20),
    gid: bytes.readUInt32LE(24),
    mode: bytes.readUInt16LE(28),
    inode: bytes.readBigUInt64LE(32),
    size: Number(bytes.readBigUInt64LE(40)),
    device: `${bytes.readUInt32LE(136)}:${bytes.readUInt32LE(140)}`,
  }
}

type Where = Parameters<Guest['connect']>[0]

function familyOf(where: Where): number {
  if ('unix' in where) return AF_UNIX
  return isIPv6(where.host) ? AF_INET6 : AF_INET
}

/** The address and its length. A unix name that begins with `@` is an abstract one. */
function addressOf(where: Where): readonly Argument[] {
  const bytes = 'unix' in where ? unixAddress(where.unix) : internetAddress(where.host, where.port)
  return [{ in: bytes }, bytes.length]
}

function unixAddress(name: string): Buffer {
  const family = Buffer.from([AF_UNIX, 0])
  return name.startsWith('@')
    ? Buffer.concat([family, Buffer.from(`\0${name.slice(1)}`)])
    : Buffer.concat([family, Buffer.from(`${name}\0`)])
}

export function internetAddress(host: string, port: number): Buffer {
  const bytes = Buffer.alloc(isIPv6(host) ? 28 : 16)
  bytes.writeUInt16LE(isIPv6(host) ? AF_INET6 : AF_INET, 0)
  bytes.writeUInt16BE(port, 2)
  if (isIPv6(host)) v6Bytes(host).copy(bytes, 8)
  else Buffer.from(host.split('.').map(Number)).copy(bytes, 4)
  return bytes
}

/** Without zones and without dotted tails: addresses that engines print. */
function v6Bytes(host: string): Buffer {
  const [head = '', tail] = host.split('::')
  const words = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16))
  const [left, right] = [words(head), words(tail)]
  const all = [...left, ...Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right]
  const bytes = Buffer.alloc(16)
  all.slice(0, 8).forEach((word, index) => bytes.writeUInt16BE(word, 2 * index))
  return bytes
}
