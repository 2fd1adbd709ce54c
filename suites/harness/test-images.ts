import { createCipheriv, createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debianRoot } from './debian-root.ts'
import { smallImages } from './image-recipes.ts'
import type { ImageRecipe } from './oci-layout.ts'
import { startRegistry } from './registry.ts'
import { findProgram } from './requirement.ts'

const CACHE = process.env['DEWAR_TEST_CACHE'] ?? '/var/cache/dewar-tests'

/** True when the nginx image could be made; it needs mmdebstrap and a Debian mirror. */
export interface TestImages {
  readonly storage: string
  readonly nginx: boolean
}

/**
 * A registry's storage folder with all images of the tests, made once per machine and recipe (about a minute, most of
 * it mmdebstrap). Registries must serve a copy of it: see `copyTestImages`.
 */
export function testImages(): Promise<TestImages> {
  return (made ??= makeTestImages())
}
let made: Promise<TestImages> | undefined

async function makeTestImages(): Promise<TestImages> {
  const storage = join(CACHE, `registry-${recipeVersion()}`)
  const marker = join(storage, 'nginx-missing')
  if (!existsSync(storage)) {
    const fresh = `${storage}.${process.pid}`
    await mkdir(fresh, { recursive: true })
    await fill(fresh)
    await rename(fresh, storage).catch(async () => rm(fresh, { recursive: true }))
  }
  return { storage, nginx: !existsSync(marker) }
}

/** Tests push to and delete from their registry; each gets its own copy of the storage. */
export async function copyTestImages(folder: string): Promise<TestImages> {
  const images = await testImages()
  const storage = join(folder, 'registry')
  await cp(images.storage, storage, { recursive: true })
  return { ...images, storage }
}

/** A TCP port of the loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('finding a free port: no address')
  return address.port
}

/** A new name when anything an image is made of changes, so that no stale cache is used. */
function recipeVersion(): string {
  const hash = createHash('sha256')
  for (const file of ['image-recipes', 'oci-layout', 'test-images'])
    hash.update(readFileSync(fileURLToPath(new URL(`./${file}.js`, import.meta.url))))
  const busybox = findProgram('busybox')
  if (busybox !== undefined) hash.update(readFileSync(busybox))
  return hash.digest('hex').slice(0, 12)
}

async function fill(storage: string): Promise<void> {
  const work = `${storage}.work`
  await mkdir(work, { recursive: true })
  try {
    await using registry = await startRegistry({ storage, folder: work, port: await freePort() })
    for (const image of smallImages()) await registry.push(image)
    const [busybox] = smallImages()
    if (busybox !== undefined) {
      await registry.push({ ...busybox, name: 'busybox:oci' }, { format: 'oci' })
      await registry.push({ ...busybox, name: 'busybox:zstd' }, { format: 'oci', zstd: true })
    }
    await registry.push(await threeLayers(work))
    const nginx = await nginxTar()
    if (nginx === undefined) await writeFile(join(storage, 'nginx-missing'), '')
    else await registry.push(nginxImage(nginx))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** 100 MB in three layers, half of it incompressible, as program images are. Deterministic. */
async function threeLayers(folder: string): Promise<ImageRecipe> {
  const [base] = smallImages()
  const layers = [...(base?.layers ?? [])]
  for (const [index, megabytes] of [50, 30, 18].entries()) {
    const random = createCipheriv('aes-128-ctr', Buffer.alloc(16, index), Buffer.alloc(16))
    const files = Array.from({ length: megabytes * 2 }, (_, number) => ({
      name: `big${index}/file${number}`,
      mode: 0o644,
      content: random.update(Buffer.alloc(512 * 1024)).fill('dewar ', 256 * 1024),
    }))
    if (index === 0) layers[0] = { members: [...membersOf(base), ...files] }
    else layers.push({ members: files })
  }
  await mkdir(folder, { recursive: true })
  return { name: 'layers3:latest', layers, config: base?.config ?? {} }
}

function membersOf(recipe: ImageRecipe | undefined) {
  const layer = recipe?.layers[0]
  return layer !== undefined && 'members' in layer ? layer.members : []
}

function nginxImage(tar: string): ImageRecipe {
  return {
    name: 'nginx:latest',
    layers: [{ tar }],
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: ['nginx', '-g', 'daemon off;'],
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGQUIT',
    },
  }
}

/** A real Debian with nginx-light. */
async function nginxTar(): Promise<string | undefined> {
  const root = await debianRoot(['nginx-light'])
  if (typeof root !== 'string') return root.tar
  process.stderr.write(`making the nginx image, without which its tests are skipped: ${root}\n`)
  return undefined
}
