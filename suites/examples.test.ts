/** The TypeScript examples of the documents are run as they stand; only folders, sockets and addresses are replaced. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { transform } from 'esbuild'
import { command, describe } from './harness/command.ts'
import { DEWAR, PROJECT } from './harness/project.ts'
import { startRegistry } from './harness/registry.ts'
import { missing } from './harness/requirement.ts'
import { Scope } from './harness/scope.ts'
import { startEngine } from './harness/start-engine.ts'
import { tempFolder } from './harness/temp-folder.ts'

const skip = missing('docker-registry', 'skopeo')
// Inside the package, so that `import … from 'dewar'` finds it.
const scratch = join(PROJECT, '.build', 'examples')
const PORT = 18130
const scope = new Scope()
const replacements = new Map<string, string>()

before(async () => {
  if (skip !== false) return
  await mkdir(scratch, { recursive: true })
  scope.defer(() => rm(scratch, { recursive: true }))
  const folder = scope.use(await tempFolder('examples'))
  const mirror = `http://127.0.0.1:${PORT}`
  scope.use(await startRegistry({ storage: join(folder.path, 'blobs'), folder: folder.path, port: PORT }))
  await pushBusybox(join(folder.path, 'image.tar'))
  const engine = scope.use(
    await startEngine({
      folder: join(folder.path, 'engine'),
      bridge: 'dwtex0',
      subnet: '10.219.30.0/24',
      arguments: ['--registry-mirror', mirror],
    }),
  )
  await command([DEWAR, '-H', `unix://${engine.socket}`, 'pull', 'busybox'], { check: true })
  replacements
    .set("'/run/dewar/dewar.sock'", `'${engine.socket}'`)
    .set(
      "'/var/lib/mine'",
      `'${join(folder.path, 'root')}', registryMirrors: ['${mirror}'], subnet: '10.219.31.0/24'`,
    )
    .set("'/run/mine'", `'${join(folder.path, 'run')}'`)
    .set("'mine0'", "'dwtex1'")
})
after(() => scope[Symbol.asyncDispose]())

/** The built-in image will do for busybox: it has sh and true. */
async function pushBusybox(archive: string): Promise<void> {
  await command(['sh', '-c', '"$0" builtin-image > "$1"', DEWAR, archive], { check: true })
  const target = `docker://127.0.0.1:${PORT}/library/busybox:latest`
  const argv = ['skopeo', 'copy', '--quiet', '--insecure-policy', '--dest-tls-verify=false']
  await command([...argv, `docker-archive:${archive}`, target], { check: true })
}

function examplesOf(document: string): string[] {
  const text = readFileSync(join(PROJECT, document), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1] ?? '')
}

async function runExample(name: string, source: string): Promise<string> {
  let text = source
  for (const [from, to] of replacements) text = text.replaceAll(from, to)
  const { code } = await transform(text, { loader: 'ts', format: 'esm', target: 'node20' })
  const file = join(scratch, `${name}.mjs`)
  await writeFile(file, code)
  const result = await command([process.execPath, file], { timeout: 300_000 })
  assert.equal(result.code, 0, describe([name], result))
  return result.stdout
}

const DOCUMENTS = ['README.md', 'docs/API.md']

test('documents have examples', () => {
  assert.deepEqual(
    DOCUMENTS.map((document) => existsSync(join(PROJECT, document)) && examplesOf(document).length > 0),
    [true, true],
  )
})

for (const document of DOCUMENTS) {
  for (const [i, source] of examplesOf(document).entries()) {
    test(`example ${i + 1} of ${document} runs and reports an exit code`, { skip }, async () => {
      assert.match(await runExample(`${document.replace('/', '-')}-${i}`, source), /exit code \d+/)
    })
  }
}

test(
  'dewar plan of an image that nobody has needs no root and no engine',
  { skip: missing('setpriv') },
  async () => {
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    const env = { HOME: '/nonexistent', DEWAR_HOST: 'unix:///nonexistent/dewar.sock' }
    const shown = await command([...nobody, process.execPath, DEWAR, 'plan', 'nginx'], { env })
    assert.equal(shown.code, 0, describe(['dewar', 'plan'], shown))
    assert.match(shown.stderr, /nginx is not known here/)
    assert.match(shown.stdout, /THE-COMMAND-OF-THE-IMAGE/)
    const json = await command([...nobody, process.execPath, DEWAR, 'plan', '--json', 'nginx'], { env })
    assert.equal(json.code, 0, describe(['dewar', 'plan', '--json'], json))
  },
)
