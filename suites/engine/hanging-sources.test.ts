/** File systems whose server takes a request and says nothing: who looks at them waits, and nobody else. */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { childEngine, create, type ChildEngine } from './child-engine-client.ts'
import { houseForAll, skip as noEngine } from './fixture.ts'

const skip = noEngine || missing('python3', 'umount') || (!existsSync('/dev/fuse') && 'needs /dev/fuse')
const house = houseForAll()

/**
 * Answers the kernel's greeting (FUSE_INIT of protocol 7.31) and nothing else. What it has read cannot be killed out of its
 * wait; all who wait fail when it ends, after a minute at most.
 */
const SILENT = `
import ctypes, os, select, signal, struct, sys
signal.alarm(60)
fd = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fd},rootmode=40000,user_id=0,group_id=0'.encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b'silent', sys.argv[1].encode(), b'fuse', 0, options): sys.exit(os.strerror(ctypes.get_errno()))
greeting = struct.unpack_from('=IIQ', os.read(fd, 1 << 20))
os.write(fd, struct.pack('=IiQ', 80, 0, greeting[2]) + struct.pack('=IIIIHHIIHHI28x', 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0))
print('mounted', flush=True)
while True:
    ready = select.select([fd, 0], [], [])[0]
    if 0 in ready: break
    os.read(fd, 1 << 20)
`

async function silentMount(folder: string): Promise<AsyncDisposable> {
  const server = spawn('python3', ['-c', SILENT, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  const begun = await Promise.race([once(server.stdout, 'data'), ended])
  assert.match(String(begun[0]), /mounted/)
  return {
    async [Symbol.asyncDispose]() {
      server.stdin.end()
      await ended
      assert.equal(spawnSync('umount', ['-l', folder]).status, 0)
    },
  }
}

const REFUSED = /^error DewarError: .*Looking at \S+, served at \S+, failed: it has not answered for 10 s/

/** Those that look, by a path that is in no other's command line. */
const looking = (path: string): number =>
  execFileSync('ps', ['-e', '-o', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('statSync') && line.includes(path)).length

const volume = (source: string, options: Readonly<Record<string, string>>) => ({
  type: 'volume',
  source,
  target: '/v',
  volumeOptions: { driverConfig: { options } },
})
const bound = (device: string) => volume(`deaf${device.length}`, { type: 'none', o: 'bind', device })
const MEMORY = { type: 'tmpfs', device: 'tmpfs' }

const within = (ms: number, line: Promise<string>): Promise<string> =>
  Promise.race([line, sleep(ms, 'nobody answers')])
const soon = (line: Promise<string>): Promise<string> => within(5000, line)

async function servesOthers(engine: ChildEngine): Promise<void> {
  const id = await soon(engine.ask(create(['true'], { mounts: [volume('quick', MEMORY)] })))
  assert.match(id, /^[0-9a-f]{64}$/)
  assert.equal(await soon(engine.ask({ start: id })), 'done')
}

test(
  'a source or device whose file system does not answer holds up its own requests alone',
  { skip },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dwt-hang-'))
    const link = `${folder}-link`
    symlinkSync(folder, link)
    const engine = await childEngine(house())
    try {
      const binds = { binds: [`${folder}:/a`, `${link}/below:/b`] }
      const ids: string[] = []
      // More than libuv has threads.
      for (let n = 0; n < 6; n += 1) ids.push(await engine.ask(create(['true'], binds)))
      const path = `${folder}/null`
      const devices = [{ pathOnHost: path, pathInContainer: '/dev/nil', cgroupPermissions: 'rwm' }]
      ids.push(await engine.ask(create(['true'], { devices })))
      ids.push(await engine.ask(create(['true'], { blkioDeviceReadBps: [{ path, rate: 1 }] })))
      await using mount = await silentMount(folder)
      for (const id of ids) engine.send(ids.indexOf(id) === 0 ? { stat: id } : { start: id })
      for (let n = 0; n < 6; n += 1) engine.send(create(['true'], { binds: [`${link}:/c:ro`] }))
      for (const device of [folder, `${folder}/below`])
        engine.send(create(['true'], { mounts: [bound(device)] }))
      await until('the look', () => looking(folder) === 1)
      await servesOthers(engine)
      const split = engine.ask(create(['true'], { binds: [`${folder}/a\0b:/x`] }))
      assert.match(await soon(split), /invalid mount path: .*a path of the host has no null byte/)
      for (let n = 0; n < ids.length + 8; n += 1) assert.match(await within(30_000, engine.line()), REFUSED)
      // Nobody else looks as long as one hangs there.
      assert.equal(looking(folder), 1)
      engine.send({ start: ids[1] ?? '' })
      assert.match(await soon(engine.line()), REFUSED)
      assert.equal(looking(folder), 1)
      void mount
    } finally {
      await engine.kill()
      unlinkSync(link)
      rmSync(folder, { recursive: true })
    }
  },
)

test(
  'a volume stays mounted for a container that has still to start when the last one ends',
  { skip },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dwt-hang-'))
    const engine = await childEngine(house())
    const mounts = [volume('kept', MEMORY)]
    const place = join(house().options.root ?? '', 'volumes/kept/_data')
    const isMounted = () => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${place} `)
    try {
      const first = await engine.ask(create(['sleep', '100'], { mounts }))
      assert.equal(await engine.ask({ start: first }), 'done')
      const next = await engine.ask(create(['true'], { mounts, binds: [`${folder}:/a`] }))
      {
        await using mount = await silentMount(folder)
        engine.send({ start: next })
        await until('the look', () => looking(folder) === 1)
        assert.equal(await engine.ask({ remove: first }), 'done')
        assert.equal(isMounted(), true)
        assert.match(await engine.line(), REFUSED)
        void mount
      }
      await until('the volume to go', () => !isMounted())
    } finally {
      await engine.kill()
      rmSync(folder, { recursive: true })
    }
  },
)
