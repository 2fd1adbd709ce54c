/** What the conformance table cannot compare, since dockerd's classic builder has not got it: here-documents, zstd, platforms. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { AddressInfo } from 'node:net'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { until } from '../harness/until.ts'
import { startBuilder, type Builder } from './builder.ts'

const needs = missing('docker', 'busybox', 'tar', 'zstd', 'xz', 'bzip2')

describe('Dockerfiles and contexts beyond the classic builder’s', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let builder: Builder

  before(async () => {
    builder = await startBuilder(scope, { bridge: 'dwtb5', subnet: '172.29.5.0/24' })
  })
  after(async () => scope[Symbol.asyncDispose]())

  const built = async (dockerfile: string, ...options: readonly string[]): Promise<string> =>
    builder.idOf(await builder.context({ Dockerfile: dockerfile }), ...options)

  test('a here-document of RUN is the script, or the shell’s own', async () => {
    const image = await built(
      [
        'FROM base',
        'ENV WORD=word',
        'RUN <<EOF',
        'set -e',
        'echo "one  $WORD" > /one',
        '# no comment of the Dockerfile',
        'false || echo two >> /one',
        'EOF',
        "RUN cat <<'END' > /three && cat <<-LAST >> /three",
        'as it is: $WORD \\',
        'END',
        '\t\tindented',
        '\tLAST',
        'RUN ["cat", "/one"]',
      ].join('\n'),
    )
    assert.equal(
      await builder.run(image, 'cat', '/one', '/three'),
      'one  word\ntwo\nas it is: $WORD \\\nindented',
    )
  })

  test('a here-document of COPY and ADD is a file, its variables replaced unless its name is quoted', async () => {
    const image = await built(
      [
        'FROM base',
        'ARG WHO=world',
        'COPY <<EOF <<"RAW" /folder/',
        'hello "$WHO" ${NOBODY:-nobody}',
        'EOF',
        'hello $WHO',
        'RAW',
        'COPY --chown=7:8 <<-SCRIPT /bin/script',
        '\t#!/bin/sh',
        '\techo ran',
        'SCRIPT',
        'ADD <<TEXT /added',
        'TEXT',
        'RUN chmod 755 /bin/script && script > /ran',
      ].join('\n'),
    )
    const paths = ['/folder/EOF', '/folder/RAW', '/ran', '/added']
    assert.equal(await builder.run(image, 'cat', ...paths), 'hello "world" nobody\nhello $WHO\nran')
    const kind = ['stat', '-c', '%a %u:%g', '/folder/EOF', '/bin/script']
    assert.equal(await builder.run(image, ...kind), '644 0:0\n755 7:8')
  })

  test('a here-document that does not end, or wants another interpreter, is refused in words', async () => {
    for (const [dockerfile, message] of [
      ['FROM base\nRUN <<EOF\ntrue\n', /unterminated heredoc/],
      ['FROM base\nRUN <<EOF\n#!/bin/cat\nEOF\n', /begins with #! requires BuildKit/],
    ] as const) {
      const { code, stderr } = await builder.build(await builder.context({ Dockerfile: dockerfile }))
      assert.equal(code, 1)
      assert.match(stderr, message)
    }
  })

  test('contexts and archives come plain or in gzip, zstd, xz and bzip2, and make one image', async () => {
    const { server, folder } = builder
    const path = await builder.context({ Dockerfile: 'FROM base\nCOPY f /f\nADD inner /in/\n', f: 'f' })
    const pack = `tar -C '${path}' --mtime=@5 --owner=0 --group=0`
    const ids = new Set<string>()
    for (const program of ['cat', 'gzip -n', 'zstd -q', 'xz', 'bzip2']) {
      const script = [
        'set -e',
        `${pack} -c f | ${program} > '${path}/inner'`,
        `touch -d @5 '${path}/inner'`,
        `${pack} -c Dockerfile f inner | ${program} > '${folder}/c.tar'`,
        `DOCKER_BUILDKIT=0 docker build --no-cache -q - < '${folder}/c.tar'`,
      ]
      const { stdout } = await server.run(['bash', '-c', script.join('\n')], { check: true })
      assert.equal(await builder.run(stdout.trim(), 'cat', '/f', '/in/f'), 'ff', program)
      const { stdout: layers } = await server.run(
        ['docker', 'image', 'inspect', '-f', '{{json .RootFS.Layers}}', stdout.trim()],
        { check: true },
      )
      ids.add(layers)
    }
    assert.equal(ids.size, 1, 'the same layers')
  })

  test('what is damaged in xz or bzip2 is told as damaged', async () => {
    const noise = Buffer.from('no archive at all, only its beginning')
    for (const [name, magic] of [
      ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
      ['bzip2', [0x42, 0x5a, 0x68]],
    ] as const) {
      const answer = await builder.server.run(
        [
          'bash',
          '-c',
          `curl -s --unix-socket '${builder.server.socket}' -X POST --data-binary @- http://d/build`,
        ],
        { input: Buffer.concat([Buffer.from(magic), noise]) },
      )
      assert.match(answer.stdout, new RegExp(`the ${name} data is damaged`))
    }
  })

  test('--platform is that of an image from scratch, and an image of another is not taken for it', async () => {
    const path = await builder.context({ Dockerfile: 'FROM scratch\nCOPY f /f\n', f: 'f' })
    const image = await builder.idOf(path, '--platform', 'linux/arm64')
    const format = ['image', 'inspect', '-f', '{{.Os}}/{{.Architecture}}', image]
    assert.equal(await builder.server.docker(...format), 'linux/arm64')
    assert.notEqual(await builder.idOf(path), image, 'nor is it another’s cache')
    const wrong = await builder.build(
      await builder.context({ Dockerfile: 'FROM --platform=linux/arm64 base\nRUN true\n' }),
    )
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /base/)
  })

  test('ADD of a URL keeps the server’s time, asks again each time, and follows no other protocol', async () => {
    let text = 'first'
    const web = createServer(({ url }, answer) => {
      if (url === '/away') answer.writeHead(302, { location: 'file:///etc/passwd' }).end()
      else answer.writeHead(200, { 'last-modified': 'Thu, 02 Jan 2020 03:04:05 GMT' }).end(text)
    })
    await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = web.address() as AddressInfo
      const url = `http://127.0.0.1:${port}`
      const path = await builder.context({ Dockerfile: `FROM base\nADD ${url}/f /f\n` })
      const image = await builder.idOf(path)
      assert.equal(await builder.run(image, 'stat', '-c', '%Y %a', '/f'), '1577934245 600')
      assert.equal(await builder.idOf(path), image)
      text = 'second'
      assert.notEqual(await builder.idOf(path), image)
      const sum = `FROM base\nADD --checksum=sha256:${'0'.repeat(64)} ${url}/f /f\n`
      const forged = await builder.build(await builder.context({ Dockerfile: sum }))
      assert.match(forged.stderr, /digest mismatch/)
      const away = await builder.build(
        await builder.context({ Dockerfile: `FROM base\nADD ${url}/away /f\n` }),
      )
      assert.match(away.stderr, /unsupported protocol scheme/)
    } finally {
      web.close()
    }
  })

  test('--cache-from takes nothing that the image was not built from', async () => {
    const path = await builder.context({ Dockerfile: 'FROM base\nRUN echo one > /a\nRUN echo two > /b\n' })
    const cached = async (...options: readonly string[]) =>
      (await builder.build(path, ...options)).stdout.match(/Using cache/g)?.length ?? 0
    await builder.idOf(path, '-t', 'source')
    assert.equal(await cached('--cache-from', 'source'), 2)
    assert.equal(await cached('--cache-from', 'base'), 0)
    // What was just built without it is no more trusted.
    assert.equal(await cached('--cache-from', 'nosuch'), 0)
  })

  test('a build argument and a registry’s password are in no file of the engine afterwards', async () => {
    const [argument, password] = ['argument-51b7c2', 'password-93ad0e']
    const path = await builder.context({
      Dockerfile: 'FROM base\nARG TOKEN\nRUN test -n "$TOKEN" && echo ok > /ok\n',
    })
    const auths = {
      'registry.example': { username: 'u', password, auth: Buffer.from(`u:${password}`).toString('base64') },
    }
    const header = Buffer.from(JSON.stringify({ 'registry.example': auths['registry.example'] })).toString(
      'base64url',
    )
    const script = `tar -C '${path}' -c . | curl -s --unix-socket '${builder.server.socket}' -H 'X-Registry-Config: ${header}' -X POST --data-binary @- 'http://d/build?buildargs=%7B%22TOKEN%22:%22${argument}%22%7D'`
    const { stdout } = await builder.server.run(['bash', '-c', script], { check: true })
    assert.match(stdout, /Successfully built/)
    for (const secret of [argument, password])
      // What is removed is deleted a moment later.
      await until(`no file to have ${secret}`, async () => {
        const found = await builder.server.run(['grep', '-rlF', secret, join(builder.folder, 'root')])
        return found.code === 1
      })
    assert.ok(!(await readFile(join(builder.folder, 'engine.log'), 'utf8')).includes(argument))
  })
})
