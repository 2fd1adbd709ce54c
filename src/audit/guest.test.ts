/** The conversation with the program inside: with itself in namespaces of its own, and with peers that lie. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { decodeHello, decodeReply, encodeBatch, FrameReader } from './guest-frames.ts'
import { GuestError } from './guest-error.ts'
import { openGuest, REFUSED } from './guest.ts'
import type { Call, Guest, GuestProcess } from './guest-types.ts'
import { systemCall } from './system-calls.ts'

const PROGRAM = join(projectOf(dirname(fileURLToPath(import.meta.url))), 'native', 'build', 'dewar-probe')
const needs = process.getuid?.() === 0 ? false : 'needs root: run `sudo npm test`'
const APART = ['--pid', '--fork', '--mount-proc', '--net', '--ipc', '--uts', '--kill-child']

function projectOf(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : projectOf(dirname(folder))
}

/** The program in namespaces that die with it. */
function apart(...words: readonly string[]): GuestProcess {
  const child = spawn('unshare', [...APART, PROGRAM, 'audit-guest', ...words])
  let complaint = ''
  child.stderr.on('data', (piece: Buffer) => (complaint += piece.toString()))
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    complaint: () => complaint,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A peer that says these bytes and ends. */
function liar(...pieces: readonly Buffer[]): GuestProcess {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  for (const piece of pieces) stdout.write(piece)
  return {
    stdin,
    stdout,
    complaint: () => '',
    ended: new Promise(() => undefined),
    async [Symbol.asyncDispose]() {
      stdout.destroy()
    },
  }
}

function frame(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(body.length)
  return Buffer.concat([length, body])
}

function hello(machine = 'x86_64'): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(0x52505744, 0)
  head.writeUInt32LE(1, 4)
  head.writeUInt32LE(7, 8)
  return frame(head, Buffer.from(`${machine}\0`))
}

describe('guest', { skip: needs }, () => {
  const inside = async (use: (guest: Guest) => Promise<void>): Promise<void> => {
    await using guest = await openGuest(apart())
    await use(guest)
  }

  test('the program refuses to run where the host’s processes are', async () => {
    // Without input a program that would serve ends at once, and well.
    const child = spawn(PROGRAM, ['audit-guest'], { stdio: 'ignore' })
    const code = await new Promise((resolve) => child.on('close', resolve))
    assert.equal(code, REFUSED)
  })

  test('the program runs in the host’s PID namespace only when something else differs', async () => {
    const with_ = async (...words: readonly string[]) => {
      const child = spawn('unshare', ['--mount', PROGRAM, 'audit-guest', ...words], {
        stdio: ['ignore', 'ignore', 'ignore'],
      })
      return new Promise((resolve) => child.on('close', resolve))
    }
    const mine = readlinkSync('/proc/self/ns/mnt')
    const uts = readlinkSync('/proc/self/ns/uts')
    assert.equal(await with_('--unlike', '/proc/self/ns/mnt', mine), 0)
    assert.equal(await with_('--unlike', '/proc/self/ns/uts', uts), REFUSED)
    assert.equal(await with_('--no-proc'), REFUSED)
  })

  test('openGuest says why the program ended', async () => {
    const process_ = spawn(PROGRAM, ['audit-guest'])
    let complaint = ''
    process_.stderr.on('data', (piece: Buffer) => (complaint += piece.toString()))
    const ended = new Promise<void>((resolve) => process_.on('close', () => resolve()))
    const refused = openGuest({
      stdin: process_.stdin,
      stdout: process_.stdout,
      complaint: () => complaint,
      ended,
      async [Symbol.asyncDispose]() {
        await ended
      },
    })
    await assert.rejects(refused, { error: 'GONE' })
  })

  test('guest.syscall gives values, errors and buffers', async () => {
    await inside(async (guest) => {
      assert.equal(guest.pid, 1)
      assert.equal((await guest.syscall('getpid')).value, 1n)
      const uname = await guest.syscall('uname', { out: 390 })
      assert.match(uname.out[0]?.toString() ?? '', /^Linux\0/)
      const bad = await guest.syscall('close', 999)
      assert.deepEqual([bad.value, bad.error], [-1n, 'EBADF'])
    })
  })

  test('guest.batch passes results on, and ends where it is told to', async () => {
    await inside(async (guest) => {
      const answers = await guest.batch([
        { name: 'memfd_create', args: [{ in: 'x' }, 0] },
        { name: 'write', args: [{ result: 0 }, { in: Buffer.from('hello') }, 5] },
        { name: 'pread64', args: [{ result: 0 }, { out: 64, short: true }, 64, 1] },
        { name: 'close', args: [-1], ends: true },
        { name: 'getpid', args: [] },
      ])
      assert.equal(answers[2]?.out[0]?.toString(), 'ello')
      assert.deepEqual(
        answers.map(({ error }) => error),
        ['', '', '', 'EBADF', 'NOT-MADE'],
      )
    })
  })

  test('guest.readFile reads short and long files whole, and says what failed', async () => {
    await inside(async (guest) => {
      assert.match((await guest.readFile('/proc/self/status')).toString(), /^Name:\tdewar-probe/)
      const long = join('/proc/self/root', PROGRAM)
      assert.deepEqual(await guest.readFile(long), readFileSync(PROGRAM))
      assert.equal((await guest.readFile(long, 100)).length, 100)
      await assert.rejects(guest.readFile('/absent'), { error: 'ENOENT' })
      assert.ok((await guest.listFolder('/proc/self')).some(({ name }) => name === 'status'))
      assert.equal((await guest.stat('/proc/self')).mode & 0o170000, 0o120000)
    })
  })

  test('guest.fork keeps what it changes to itself, and tells how it ended', async () => {
    await inside(async (guest) => {
      const mine = await guest.readLink('/proc/self/ns/uts')
      const { answers, exit } = await guest.fork([
        { name: 'unshare', args: [0x04000000] },
        { name: 'readlinkat', args: [-100, { in: '/proc/self/ns/uts' }, { out: 64, short: true }, 64] },
      ])
      assert.notEqual(answers[1]?.out[0]?.toString(), mine)
      assert.equal(exit, 0)
      assert.equal(await guest.readLink('/proc/self/ns/uts'), mine)
      const killed = await guest.fork([
        { name: 'getpid', args: [] },
        { name: 'tgkill', args: [0, 0, 0] },
        { name: 'kill', args: [0, 31] },
        { name: 'getpid', args: [] },
      ])
      assert.equal(killed.signal, 'SIGSYS')
      assert.deepEqual(
        killed.answers.map(({ error }) => error),
        ['', 'EINVAL', 'SIGSYS', 'NOT-MADE'],
      )
    })
  })

  test('guest.fork executes a program with its arguments', async () => {
    await inside(async (guest) => {
      const argv = Buffer.alloc(24)
      const pointers = [
        { at: 0, to: 'probe' },
        { at: 8, to: 'audit-whoami' },
      ]
      const { exit } = await guest.fork([
        { name: 'execve', args: [{ in: PROGRAM }, { in: argv, pointers }, { in: Buffer.alloc(8) }] },
      ])
      assert.equal(exit, 10)
    })
  })

  test('guest ends calls that do not come back, in children and in itself', async () => {
    await using guest = await openGuest(apart(), { limit: 200 })
    const sleep = Buffer.alloc(16)
    sleep.writeBigInt64LE(1000n)
    const calls = [{ name: 'nanosleep', args: [{ in: sleep }, 0] }]
    assert.equal((await guest.inChild(calls))[0]?.error, 'TIMEOUT')
    assert.equal((await guest.batch(calls))[0]?.error, 'EINTR')
    assert.equal((await guest.syscall('getpid')).value, 1n)
  })

  test('guest.repeat measures rounds in several processes, and keeps all answers when asked', async () => {
    await inside(async (guest) => {
      const calls = [
        { name: 'memfd_create', args: [{ in: 'x' }, 0] },
        { name: 'close', args: [{ result: 0 }] },
      ]
      const some = await guest.repeat(calls, { times: 50, processes: 4 })
      assert.equal(some.rounds, 200)
      assert.equal(some.nanoseconds.length, 200)
      const all = await guest.repeat(calls, { times: 20, keep: 'all' })
      assert.equal(all.rounds, 20)
      assert.ok(all.answers.flat().every(({ error }) => error === ''))
      const timed = await guest.repeat(calls, { milliseconds: 50 })
      assert.ok(timed.rounds > 1)
    })
  })

  test('guest.repeat ends with the round that finds something', async () => {
    await inside(async (guest) => {
      const look = (path: string, finds: boolean): Call => ({
        name: 'faccessat',
        args: [-100, { in: path }, 0],
        finds,
      })
      const rounds = async (...calls: readonly Call[]): Promise<number> =>
        (await guest.repeat(calls, { times: 50, processes: 0 })).rounds
      assert.equal(await rounds(look('/nosuch', true)), 50)
      assert.equal(await rounds(look('/', false)), 50)
      assert.equal(await rounds(look('/', true), look('/nosuch', true)), 1)
    })
  })
})

describe('guest, told lies', () => {
  const refuse = async (error: string, ...pieces: readonly Buffer[]): Promise<void> => {
    const talk = async (): Promise<void> => {
      await using guest = await openGuest(liar(...pieces), { limit: 10, patience: 50 })
      await guest.syscall('getpid')
    }
    await assert.rejects(talk, (thrown) => thrown instanceof GuestError && thrown.error === error)
  }
  const reply = (id: number, done: number, kept = 0): Buffer => {
    const bytes = Buffer.alloc(28)
    bytes.writeUInt32LE(id, 0)
    bytes.writeUInt32LE(done, 12)
    bytes.writeUInt32LE(kept, 16)
    return bytes
  }

  test('openGuest refuses what is no hello', async () => {
    await refuse('EPROTO', frame(Buffer.from('GET / HTTP/1.1\r\n')))
    await refuse('EPROTO', Buffer.from('bash: no such thing\r\n'))
    await refuse('TIMEOUT')
    await refuse('TIMEOUT', hello().subarray(0, 9))
  })
  test('guest refuses a call that the machine has not', async () => refuse('ENOSYS', hello('vax')))
  test('guest refuses answers that are short, long, late or another’s', async () => {
    await refuse('TIMEOUT', hello())
    await refuse('EPROTO', hello(), frame(reply(1, 1)))
    await refuse('EPROTO', hello(), frame(reply(2, 0)))
    await refuse('EPROTO', hello(), frame(reply(1, 5000)))
    await refuse('EPROTO', hello(), frame(reply(1, 0, 70_000)))
    await refuse('EPROTO', hello(), frame(reply(1, 0), Buffer.alloc(1)))
    await refuse('EPROTO', hello(), Buffer.from([255, 255, 255, 255]))
  })
  test('decodeReply and decodeHello answer bytes or GuestError, whatever comes', () => {
    const asked = encodeBatch(
      { id: 1, limit: 1, repeat: 1, children: 0, calls: [{ name: 'uname', args: [{ out: 8 }] }] },
      (name) => systemCall('x86_64', name) ?? 0,
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeHello, (frame_: Buffer) => decodeReply(frame_, asked)])
          try {
            decode(Buffer.from(bytes))
          } catch (error) {
            assert.ok(error instanceof GuestError, String(error))
          }
      }),
    )
  })
  test('FrameReader gives the same frames however they are cut', () => {
    const whole = Buffer.concat([frame(Buffer.from('one')), frame(), frame(Buffer.from('three'))])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 8 }), (cuts) => {
        const reader = new FrameReader()
        const at = [0, ...cuts.sort((a, b) => a - b), whole.length]
        const frames = at.slice(1).flatMap((end, index) => reader.push(whole.subarray(at[index], end)))
        assert.deepEqual(frames.map(String), ['one', '', 'three'])
      }),
    )
  })
})
