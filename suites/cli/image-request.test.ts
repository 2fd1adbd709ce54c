/** What `--platform` of the image commands asks the engine for, which dockerd 20.10 does not know: as docker's client asks. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder, type TempFolder } from '../harness/temp-folder.ts'

const CLI = (process.env['DEWAR_CLI'] ?? DEWAR).split(' ')
const PLATFORMS =
  `linux arm64 Linux/AMD64 linux/arm/v7 linux/arm arm armhf armel/v6 linux/arm64/v8 linux/arm64/v9 arm/v5
x86_64 i386 linux/aarch64 linux/amd64/v1 linux/amd64/v2 windows/amd64 windows(10.0.1)/amd64 linux(5)/amd64 macos a/b/c/d
lin␣ux foo linux/foo linux/a:b linux/arm/7 linux/arm/8 linux/arm64/8 linux/armhf
linux/armhf/v6 linux/386/x Linux/ARM/V7 linux(1)/arm/v6 linux/ (x) riscv LINUX`.split(/\s+/)
const LINES = [
  ...PLATFORMS.map((platform) => `image inspect --platform ${platform} busybox`),
  'image inspect --platform= busybox',
  'history --platform linux/arm64 busybox',
  'history --platform a/b/c/d busybox',
  'image history --platform amd64 busybox',
  'rmi --platform linux/arm64 busybox',
  'rmi --platform linux/arm64,amd64 --platform linux/arm/v6 -f busybox',
  'image rm --platform linux/arm64,a/b/c/d busybox',
  'image rm --platform= busybox',
]

describe('dewar asks for platforms as docker does', { skip: needed(), concurrency: 1 }, () => {
  let folder: TempFolder
  let asked: string[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request
    response.setHeader('Api-Version', '1.50').setHeader('Ostype', 'linux')
    if (url.includes('/_ping')) return void response.end()
    const { pathname, searchParams } = new URL(url, 'http://x')
    const query = [...searchParams].map(([key, value]) => `${key}=${value}`)
    asked.push([method, pathname.replace(/^\/v[\d.]+/, ''), ...query.sort()].join(' '))
    response.statusCode = 500
    response.setHeader('Content-Type', 'application/json').end('{"message":"recorded"}')
  })
  before(async () => {
    folder = await tempFolder('images')
    await mkdir(join(folder.path, 'client'))
    await new Promise<void>((resolve) => server.listen(join(folder.path, 's.sock'), resolve))
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await folder?.[Symbol.asyncDispose]()
  })

  const ask = async (program: readonly string[], line: string) => {
    asked = []
    const { path } = folder
    const env = { DOCKER_HOST: `unix://${path}/s.sock`, DOCKER_CONFIG: `${path}/client` }
    const words = line.split(' ').map((word) => word.replaceAll('␣', ' '))
    const { code, stdout, stderr } = await command([...program, ...words], { env, cwd: path })
    return { asked, code, stdout, stderr }
  }

  for (const line of LINES)
    test(`dewar ${line}`, async () => {
      assert.deepEqual(await ask(CLI, line), await ask(['docker'], line))
    })
})

function needed(): string | false {
  const reason = missing('docker')
  // Nothing is started: root is not needed here.
  return reason !== false && reason.startsWith('needs root') ? false : reason
}
