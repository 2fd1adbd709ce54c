import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { BuiltinImage } from './builtin-image.ts'
import { BUILTIN_REFERENCE, builtinImage } from './builtin-image.ts'

const notRoot = process.getuid?.() === 0 ? false : 'chroot needs root'
const scratch = await mkdtemp(join(tmpdir(), 'dwt-builtin-'))
const archive = join(scratch, 'archive')
const rootfs = join(scratch, 'rootfs')
let image: BuiltinImage

before(async () => {
  image = await builtinImage()
  execFileSync('mkdir', [archive, rootfs])
  await pipeline(image.stream(), createWriteStream(join(scratch, 'image.tar')))
  execFileSync('tar', ['-xf', join(scratch, 'image.tar'), '-C', archive])
  const layer = manifest().Layers[0] ?? ''
  execFileSync('tar', ['--numeric-owner', '-xf', join(archive, layer), '-C', rootfs])
})
after(() => rm(scratch, { recursive: true }))

function manifest(): { Config: string; RepoTags: string[]; Layers: string[] } {
  const [only] = JSON.parse(readFileSync(join(archive, 'manifest.json'), 'utf8')) as ReturnType<
    typeof manifest
  >[]
  assert.ok(only !== undefined)
  return only
}

test('builtinImage names every blob by its true digest', () => {
  const { Config, RepoTags, Layers } = manifest()
  assert.deepEqual(RepoTags, [BUILTIN_REFERENCE])
  assert.equal(Config, `blobs/${image.id.replace(':', '/')}`)
  for (const path of [Config, ...Layers]) {
    const digest = createHash('sha256')
      .update(readFileSync(join(archive, path)))
      .digest('hex')
    assert.equal(path, `blobs/sha256/${digest}`)
  }
  const config = JSON.parse(readFileSync(join(archive, Config), 'utf8')) as { rootfs: { diff_ids: string[] } }
  assert.deepEqual(config.rootfs.diff_ids, [Layers[0]?.replace('blobs/sha256/', 'sha256:')])
})

test('builtinImage gives the same id for the same host', async () => {
  assert.equal((await builtinImage()).id, image.id)
})

test(
  'builtinImage holds programs that all start with nothing but the image around them',
  { skip: notRoot },
  async () => {
    assert.ok(image.programs.length > 20, image.programs.join(' '))
    const broken: string[] = []
    for (const name of image.programs) {
      const { stderr } = await promisify(execFile)('chroot', [rootfs, name, '--version'], {
        timeout: 10_000,
        env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin' },
      }).catch((error: { stderr: string }) => error)
      if (/No such file|shared librar|not found/i.test(stderr)) broken.push(`${name}: ${stderr.trim()}`)
    }
    assert.deepEqual(broken, [])
  },
)

test(
  'builtinImage has a /tmp for all, root in /etc/passwd, and the host linked as it is',
  { skip: notRoot },
  () => {
    const inside = (...argv: string[]): string =>
      execFileSync('chroot', [rootfs, ...argv], {
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin:/usr/sbin' },
      }).trim()
    assert.equal(inside('stat', '-c', '%a', '/tmp'), '1777')
    assert.equal(inside('whoami'), 'root')
    assert.equal(
      inside('sh', '-c', 'readlink -f /bin/ls'),
      execFileSync('readlink', ['-f', '/bin/ls'], { encoding: 'utf8' }).trim(),
    )
    assert.equal(inside('find', '/', '-xdev', '-perm', '/6000'), '')
  },
)

test('builtinImage serves its page, logs the request and ends on SIGTERM', { skip: notRoot }, async () => {
  const port = await freePort()
  const server = spawn('chroot', [rootfs, 'node', '/srv/server.js'], {
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/usr/local/bin', PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let log = ''
  server.stdout.setEncoding('utf8').on('data', (text: string) => (log += text))
  await once(server.stdout, 'data')
  const page = await fetch(`http://127.0.0.1:${port}/`)
  assert.match(await page.text(), /Hello from inside a container/)
  assert.equal((await fetch(`http://127.0.0.1:${port}/missing`)).status, 404)
  server.kill('SIGTERM')
  const [code] = (await once(server, 'close')) as [number | null]
  assert.equal(code, 0)
  assert.match(log, /127\.0\.0\.1 - \[.*\] "GET \/" 200 \d+\n/)
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}
