/** `dewar experiment`, which is what `npm start` runs: what it finds, and that nothing of it stays. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { command, describe } from './harness/command.ts'
import { assertNoTraces, tracesBefore } from './harness/experiment-traces.ts'
import { DEWAR, PROJECT } from './harness/project.ts'
import { startRegistry } from './harness/registry.ts'
import { missing } from './harness/requirement.ts'
import { Scope } from './harness/scope.ts'
import { startSide } from './harness/start-side.ts'
import { tempFolder } from './harness/temp-folder.ts'

const skip = missing('find', 'ps')
/** No registry on any machine: what is tested is the same everywhere. */
const env = { DEWAR_REGISTRY_MIRROR: 'http://127.0.0.1:1', NO_COLOR: '1' }
const LIMIT = 60_000

test(
  'experiment finds the file, the processes and the secret on the host, explains it and leaves nothing',
  { skip },
  async () => {
    const before = await tracesBefore()
    const result = await command([DEWAR, 'experiment', '--port', '18080'], { env, timeout: LIMIT })
    assert.equal(result.code, 0, describe(['dewar', 'experiment'], result))
    const { stdout } = result
    assert.match(stdout, /127\.0\.0\.1:1\/? does not answer, so an image is made on the spot/)
    assert.match(stdout, /http:\/\/127\.0\.0\.1:18\d\d\d\/ says "Hello from a Dewar container"/)
    assert.match(
      stdout,
      /# find \/\S* -name (secret-[0-9a-f]{12})\n {5}\/\S+\/\1\n {5}owned by uid [1-9]\d+, readable: "[0-9a-f]{12}"/,
    )
    assert.match(stdout, /pid \d+ {2}uid [1-9]\d+ {2}node \/srv\/server\.js/)
    assert.match(stdout, /EXPERIMENT_SECRET=[0-9a-f]{12}/)
    assert.match(stdout, /root in the container is\s+nobody special outside/)
    assert.match(stdout, /Stronger levels\s+are to come/)
    assert.ok(!stdout.includes('\u001b'), 'no escape sequences without a terminal')
    await assertNoTraces(before)
  },
)

test(
  'experiment pulls nginx where a registry answers',
  { skip: missing('docker-registry', 'skopeo') },
  async () => {
    await using folder = await tempFolder('experiment')
    await using registry = await startRegistry({
      storage: join(folder.path, 'blobs'),
      folder: folder.path,
      port: 18110,
    })
    const archive = join(folder.path, 'image.tar')
    await command(['sh', '-c', '"$0" builtin-image > "$1"', DEWAR, archive], { check: true })
    const target = `docker://${registry.address}/library/nginx:latest`
    const copy = [
      'skopeo',
      'copy',
      '--quiet',
      '--insecure-policy',
      '--dest-tls-verify=false',
      `docker-archive:${archive}`,
      target,
    ]
    await command(copy, { check: true })
    const mirror = { DEWAR_REGISTRY_MIRROR: `http://${registry.address}`, NO_COLOR: '1' }
    const result = await command([DEWAR, 'experiment', '--port', '18120'], { env: mirror, timeout: LIMIT })
    assert.equal(result.code, 0, describe(['dewar', 'experiment'], result))
    assert.match(result.stdout, /nginx, pulled from 127\.0\.0\.1:18110/)
    assert.match(result.stdout, /run -d -p 18120:80 nginx:latest/)
  },
)

test(
  'experiment on dockerd finds the same, and that root inside is the host’s own root',
  { skip: missing('dockerd', 'docker', 'docker-registry', 'skopeo', 'busybox') },
  async () => {
    await using scope = new Scope()
    const { server } = await startSide('dockerd', scope)
    const argv = [DEWAR, 'experiment', '--port', '18150', '--engine', `unix://${server.socket}`]
    const result = await server.run(argv, { env, timeout: LIMIT })
    assert.equal(result.code, 0, describe(argv, result))
    assert.match(result.stdout, /owned by uid 0, readable: "[0-9a-f]{12}"/)
    assert.match(result.stdout, /pid \d+ {2}uid 0 {2}node \/srv\/server\.js/)
    assert.match(result.stdout, /EXPERIMENT_SECRET=[0-9a-f]{12}/)
    assert.equal(await server.docker('ps', '-aq'), '')
    assert.match(result.stdout, /^Removed: the container\.$/m, 'the image stays, as after docker run')
  },
)

test('experiment takes the next free port and says so', { skip }, async () => {
  const busy = createServer().listen(18090)
  await once(busy, 'listening')
  const result = await command([DEWAR, 'experiment', '--port', '18090'], { env, timeout: LIMIT })
  busy.close()
  assert.equal(result.code, 0, describe(['dewar', 'experiment'], result))
  assert.match(result.stdout, /18090 is in use, 18091 is the next free port/)
})

test(
  'experiment that is interrupted removes everything, however often it is interrupted',
  { skip },
  async () => {
    const before = await tracesBefore()
    const child = spawn(DEWAR, ['experiment', '--port', '18100'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      // The container runs by now; a person presses Ctrl-C more than once.
      if (output.includes('through the port')) for (let i = 0; i < 3; i++) child.kill('SIGINT')
    })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
    const [code] = (await once(child, 'close')) as [number | null]
    assert.equal(code, 130, output + complaint)
    assert.match(complaint, /interrupted/)
    await assertNoTraces(before)
  },
)

test('experiment says what to do when it is not root', { skip: missing('setpriv') }, async (t) => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  if ((await command([...nobody, 'test', '-r', DEWAR])).code !== 0)
    return t.skip(`the user nobody cannot read ${PROJECT}`)
  const result = await command([...nobody, process.execPath, DEWAR, 'experiment'], { env, timeout: LIMIT })
  assert.notEqual(result.code, 0)
  assert.match(result.stderr, /you are not root \(run it with sudo\)/)
})
