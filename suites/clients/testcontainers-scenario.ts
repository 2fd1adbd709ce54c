/** What test suites do with testcontainers. Run by testcontainers.test.ts, with DOCKER_HOST set and no reaper. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { GenericContainer, Network, Wait, type StartedTestContainer } from 'testcontainers'

const registry = process.env['REGISTRY'] ?? ''
const [busybox, web, redis] = ['busybox', 'web', 'redis'].map((name) => `${registry}/${name}:latest`) as [
  string,
  string,
  string,
]

async function get(container: StartedTestContainer, path: string): Promise<string> {
  const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}${path}`)
  return answer.text()
}

test('waits for a log message, and sees what was logged', async () => {
  await using container = await new GenericContainer(redis)
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .start()
  const logs = await container.logs()
  const seen = new Promise<string>((resolve) =>
    logs.on('data', (line: Buffer | string) => {
      if (String(line).includes('Ready to accept')) resolve(String(line))
    }),
  )
  // The library takes its reference from the connection of the log: nothing else keeps this program waiting.
  const waiting = setInterval(() => undefined, 1000)
  assert.match(await seen, /Ready to accept connections/)
  clearInterval(waiting)
  logs.destroy()
  const { output, exitCode } = await container.exec(['redis-cli', 'ping'])
  assert.deepEqual([output.trim(), exitCode], ['PONG', 0])
})

test('waits for listening ports and maps them', async () => {
  await using container = await new GenericContainer(web).withExposedPorts(80).start()
  assert.equal(await get(container, '/'), 'the web service\n')
})

test('waits for an answer over HTTP', async () => {
  await using container = await new GenericContainer(web)
    .withExposedPorts(80)
    .withWaitStrategy(Wait.forHttp('/cgi-bin/whoami', 80).forStatusCode(200))
    .start()
  assert.equal((await get(container, '/cgi-bin/whoami')).trim(), container.getId().slice(0, 12))
})

test('waits for the health check', async () => {
  await using container = await new GenericContainer(busybox)
    .withCommand(['sh', '-c', 'sleep 0.5; touch /ok; sleep 600'])
    .withHealthCheck({ test: ['CMD-SHELL', 'test -e /ok'], interval: 200, timeout: 5000, retries: 100 })
    .withWaitStrategy(Wait.forHealthCheck())
    .start()
  assert.equal((await container.exec(['test', '-e', '/ok'])).exitCode, 0)
})

test('waits for a command to succeed, and for one that runs once', async () => {
  await using container = await new GenericContainer(busybox)
    .withCommand(['sh', '-c', 'sleep 0.3; touch /ready; sleep 600'])
    .withWaitStrategy(Wait.forSuccessfulCommand('test -e /ready'))
    .start()
  assert.equal((await container.exec(['cat', '/ready'])).exitCode, 0)
  await using short = await new GenericContainer(busybox)
    .withCommand(['true'])
    .withWaitStrategy(Wait.forOneShotStartup())
    .start()
  assert.notEqual(short.getId(), '')
})

test('gives up on a container that is never ready', async () => {
  const never = new GenericContainer(busybox)
    .withCommand(['sleep', '600'])
    .withWaitStrategy(Wait.forLogMessage('no such line'))
    .withStartupTimeout(1000)
  await assert.rejects(never.start(), /Log message .* not received|not received after 1000ms/)
})

test('connects containers by aliases on a network', async () => {
  await using network = await new Network().start()
  await using server = await new GenericContainer(web)
    .withExposedPorts(80)
    .withNetwork(network)
    .withNetworkAliases('shop')
    .start()
  await using client = await new GenericContainer(busybox)
    .withCommand(['sleep', '600'])
    .withNetwork(network)
    .start()
  const { output } = await client.exec(['wget', '-qO-', 'http://shop/'])
  assert.equal(output, 'the web service\n')
  assert.match(server.getIpAddress(network.getName()), /^\d+\.\d+\.\d+\.\d+$/)
})

test('copies files, folders and content in, and archives out', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dwt-tc-'))
  try {
    await writeFile(join(folder, 'a.txt'), 'from a file')
    await using container = await new GenericContainer(busybox)
      .withCommand(['sleep', '600'])
      .withCopyFilesToContainer([{ source: join(folder, 'a.txt'), target: '/in/a.txt', mode: 0o600 }])
      .withCopyDirectoriesToContainer([{ source: folder, target: '/dir' }])
      .withCopyContentToContainer([{ content: 'written', target: '/in/b.txt' }])
      .start()
    await container.copyContentToContainer([{ content: 'later', target: '/in/c.txt' }])
    const { output } = await container.exec(['sh', '-c', 'cat /in/* /dir/a.txt; stat -c %a /in/a.txt'])
    assert.equal(output, 'from a filewrittenlaterfrom a file600\n')
    const archive = await text(await container.copyArchiveFromContainer('/in/b.txt'))
    assert.match(archive, /^b\.txt\0[\s\S]*written/)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('exec tells streams and exit code apart, with user, folder and environment', async () => {
  await using container = await new GenericContainer(busybox)
    .withCommand(['sleep', '600'])
    .withEnvironment({ FROM: 'container' })
    .withUser('1000')
    .start()
  const script = 'echo "$FROM $MORE $PWD"; id -u >&2; exit 3'
  const options = { env: { MORE: 'exec' }, workingDir: '/tmp', user: '0' }
  const { stdout, stderr, exitCode } = await container.exec(['sh', '-c', script], options)
  assert.deepEqual([stdout, stderr, exitCode], ['container exec /tmp\n', '0\n', 3])
})

test('restarts, stops, keeps what is reused by hash', async () => {
  const container = await new GenericContainer(web).withExposedPorts(80).withLabels({ of: 'tc' }).start()
  await container.restart({ timeout: 1000 })
  assert.equal(await get(container, '/'), 'the web service\n')
  assert.equal(container.getLabels()['of'], 'tc')
  const stopped = await container.stop({ remove: false, timeout: 1000 })
  assert.match(await text(await stopped.copyArchiveFromContainer('/www/index.html')), /the web service/)
})

test('commits a container, and builds an image from a Dockerfile', async () => {
  await using container = await new GenericContainer(busybox).withCommand(['sleep', '600']).start()
  await container.exec(['sh', '-c', 'echo kept > /kept'])
  const id = await container.commit({ repo: 'tc-committed', tag: 'one', deleteOnExit: false })
  assert.match(id, /^sha256:/)
  await using copy = await new GenericContainer('tc-committed:one').withCommand(['sleep', '600']).start()
  assert.equal((await copy.exec(['cat', '/kept'])).output, 'kept\n')
  const folder = await mkdtemp(join(tmpdir(), 'dwt-tc-'))
  try {
    const lines = [`FROM ${busybox}`, 'ARG WORD', 'RUN echo built $WORD > /built', 'CMD ["sleep", "600"]']
    await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
    const image = await GenericContainer.fromDockerfile(folder)
      .withBuildArgs({ WORD: 'here' })
      .build('tc-built:one', { deleteOnExit: false })
    await using built = await image.start()
    assert.equal((await built.exec(['cat', '/built'])).output, 'built here\n')
  } finally {
    await rm(folder, { recursive: true })
  }
})
