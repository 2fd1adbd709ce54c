/** `docker build` on Dewar: what comes out, that it comes out the same again, and that no context leads out of it. */
import assert from 'node:assert/strict'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, test } from 'node:test'
import { pack } from 'tar-stream'
import { ACL, acl, CAPABILITY, DEFAULT_ACL, NET_RAW_FILE } from '../engine/attribute-values.ts'
import { compileC } from '../harness/compile-c.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startBuilder, type Builder } from './builder.ts'

interface Entry {
  readonly name: string
  readonly type?: 'symlink' | 'link'
  readonly linkname?: string
  readonly content?: string
}

describe('docker build', { skip: missing('docker', 'busybox', 'tar', 'curl'), concurrency: 1 }, () => {
  const scope = new Scope()
  let builder: Builder
  let canary = ''

  before(async () => {
    builder = await startBuilder(scope, { bridge: 'dwtb1', subnet: '172.29.1.0/24' })
    canary = join(builder.folder, 'canary')
    await mkdir(canary)
    await writeFile(join(canary, 'secret'), 'of the host')
  })
  after(async () => scope[Symbol.asyncDispose]())

  test('a build runs its steps, and takes from its cache what has not changed', async () => {
    const path = await builder.context({
      Dockerfile: 'FROM base\nENV A=1\nCOPY one two /in/\nRUN echo "$A" > /made\nCMD ["cat", "/made"]\n',
      one: '1',
      two: '2',
    })
    const first = await builder.build(path, '-t', 'built')
    assert.match(first.stdout, /Successfully tagged built:latest/, first.stderr)
    assert.equal(await builder.run('built'), '1')
    const again = await builder.build(path)
    assert.equal(again.stdout.match(/Using cache/g)?.length, 4)
    // Another time is no change, another content is.
    await utimes(join(path, 'one'), 1, 1)
    assert.equal((await builder.build(path)).stdout.match(/Using cache/g)?.length, 4)
    await writeFile(join(path, 'two'), '3')
    assert.equal((await builder.build(path)).stdout.match(/Using cache/g)?.length, 1)
  })

  test('two builds of one context are one image, whenever they are made', async () => {
    const path = await builder.context({
      Dockerfile:
        'FROM base AS made\nRUN mkdir /out && echo a > /out/a\nFROM base\nCOPY --from=made /out /out\nCOPY f /\n',
      f: 'f',
    })
    const first = await builder.idOf(path, '--no-cache')
    // The clock's second is another one.
    await new Promise((resolve) => setTimeout(resolve, 1100))
    assert.equal(await builder.idOf(path, '--no-cache'), first)
    await writeFile(join(path, 'f'), 'g')
    assert.notEqual(await builder.idOf(path, '--no-cache'), first)
  })

  test('two builds are one image also where a step sets ACLs and capabilities, which name ids', async () => {
    const [listed, inherited] = [acl(1000), acl(7)]
    const program = await compileC('engine/xattr.c', join(builder.folder, 'x'))
    const path = await builder.context({
      Dockerfile: [
        'FROM base AS made',
        'COPY --chmod=755 x /x',
        `RUN mkdir -p /n/d && echo a >/n/f && chmod 670 /n/f && /x set /n/f ${ACL} ${listed} && /x set /n/d ${DEFAULT_ACL} ${inherited}`,
        `RUN cat /x >/n/cap && chmod 755 /n/cap && /x set /n/cap ${CAPABILITY} ${NET_RAW_FILE}`,
        'FROM base',
        'COPY --from=made /x /x',
        'COPY --from=made /n /n',
        'RUN chown 3 /n/f',
      ].join('\n'),
      x: await readFile(program),
    })
    const first = await builder.idOf(path, '--no-cache')
    assert.equal(await builder.idOf(path, '--no-cache'), first)
    assert.equal(await builder.run(first, '/x', 'get', '/n/f', ACL), listed)
    assert.equal(await builder.run(first, '/x', 'get', '/n/d', DEFAULT_ACL), inherited)
    assert.equal(await builder.run(first, '/x', 'get', '/n/cap', CAPABILITY), NET_RAW_FILE)
  })

  test('a build argument is in no image that does not write it down itself', async () => {
    const secret = 'argument-7c1d'
    const path = await builder.context({ Dockerfile: 'FROM base\nARG TOKEN\nRUN test -n "$TOKEN"\n' })
    const image = await builder.idOf(path, '--build-arg', `TOKEN=${secret}`)
    const shown =
      (await builder.server.docker('history', '--no-trunc', image)) +
      (await builder.server.docker('inspect', image))
    assert.ok(!shown.includes(secret), shown)
    await builder.server.docker('save', '-o', join(builder.folder, 'saved.tar'), image)
    assert.ok(!(await readFile(join(builder.folder, 'saved.tar'))).includes(secret), 'nor in what is saved')
  })

  test('dewar build makes the image that docker build makes, and leaves out what .dockerignore names', async () => {
    const path = await builder.context({
      Dockerfile: 'FROM base\nCOPY . /in/\nRUN ls /in > /list\n',
      '.dockerignore': 'hidden*\n',
      hidden: 'x',
      shown: 'y',
    })
    const dewar = (...argv: readonly string[]) =>
      builder.server.run([DEWAR, '-H', `unix://${builder.server.socket}`, 'build', ...argv], {
        timeout: 60_000,
      })
    const idFile = join(builder.folder, 'id')
    const { code, stdout, stderr } = await dewar('-q', '-t', 'ours', '--iidfile', idFile, path)
    assert.equal(code, 0, stderr)
    assert.equal(stdout.trim(), await readFile(idFile, 'utf8'))
    assert.equal(stdout.trim(), await builder.idOf(path))
    assert.ok(!(await builder.run('ours', 'cat', '/list')).includes('hidden'))
    const failed = await dewar('--no-cache', await builder.context({ Dockerfile: 'FROM base\nRUN exit 4\n' }))
    assert.equal(failed.code, 4, failed.stderr)
  })

  test('a step that fails says how, and nothing gets the name', async () => {
    const path = await builder.context({ Dockerfile: 'FROM base\nRUN exit 3\n' })
    const { code, stderr } = await builder.build(path, '-t', 'failed')
    assert.equal(code, 3, stderr)
    assert.match(stderr, /The command '\/bin\/sh -c exit 3' returned a non-zero code: 3/)
    assert.equal(await builder.server.docker('images', '-q', 'failed'), '')
    for (const [dockerfile, message] of [
      ['FROM base\nCOPY nosuch /\n', /COPY failed: .*nosuch/],
      ['FROM base\nNOSUCH x\n', /unknown instruction: NOSUCH/],
      ['RUN true\n', /no build stage in current context/],
      ['', /cannot be empty/],
      ['FROM base:nosuch\n', /base:nosuch/],
    ] as const) {
      const wrong = await builder.build(await builder.context({ Dockerfile: dockerfile }))
      assert.notEqual(wrong.code, 0, dockerfile)
      assert.match(wrong.stderr + wrong.stdout, message)
    }
  })

  test('a step is contained as a container is', async () => {
    const path = await builder.context({
      Dockerfile: 'FROM base\nRUN cat /proc/self/uid_map /proc/1/cmdline\n',
    })
    const { stdout } = await builder.build(path, '--no-cache')
    assert.match(stdout, /^ +0 +[1-9]\d{5,} +65536$/m, 'a range of ids of its own')
    assert.match(stdout, /cat \/proc\/self\/uid_map/, 'its own processes, beginning with 1')
  })

  test('links in images, stages and contexts lead nowhere outside', async () => {
    const path = await builder.context({
      Dockerfile: [
        'FROM base AS stage',
        `RUN mkdir -p /x && ln -s ${canary} /x/link && ln -s ${canary}/secret /x/file`,
        // Written through links to a folder of the host: it is made inside.
        'COPY f /x/link/f',
        'WORKDIR /x/link/deeper',
        'FROM base',
        'COPY --from=stage /x/ /x/',
        `RUN mkdir -p /y && ln -s ../../../../../../..${canary} /y/up`,
        'COPY f /y/up/f',
      ].join('\n'),
      f: 'from the context',
    })
    const { code, stdout, stderr } = await builder.build(path, '-t', 'linked', '--no-cache')
    assert.equal(code, 0, stdout + stderr)
    assert.deepEqual(await readdir(canary), ['secret'], 'nothing was written into the folder of the host')
    assert.equal(await builder.run('linked', 'cat', '/y/up/f'), 'from the context')

    for (const from of ['--from=stage /x/file', '--from=stage /x/link/secret']) {
      const file = `FROM base AS stage\nRUN mkdir /x; ln -s ${canary} /x/link; ln -s ${canary}/secret /x/file\nFROM base\nCOPY ${from} /got\n`
      const read = await builder.build(
        await builder.context({ Dockerfile: file }),
        '-t',
        'reader',
        '--no-cache',
      )
      const got =
        read.code === 0 ? await builder.server.run(['docker', 'run', '--rm', 'reader', 'cat', '/got']) : read
      assert.ok(!got.stdout.includes('of the host'), `${from}: ${got.stdout}`)
    }
  })

  /** The answer of the engine to a context that no client of good will sends. */
  async function buildRaw(entries: readonly Entry[]): Promise<string> {
    const tar = pack()
    for (const { content, ...header } of entries) tar.entry(header, content ?? '')
    tar.finalize()
    const file = join(builder.folder, 'hostile.tar')
    await pipeline(tar, createWriteStream(file))
    const { stdout } = await builder.server.run(
      [
        ...['curl', '-s', '-m', '60', '--unix-socket', builder.server.socket, '-X', 'POST'],
        ...['-H', 'Content-Type: application/x-tar', '--data-binary', `@${file}`, 'http://d/build?t=hostile'],
      ],
      { timeout: 70_000 },
    )
    return stdout
  }

  test('a hostile context reaches no file of the host', async () => {
    const file = { name: 'Dockerfile', content: 'FROM base\nCOPY . /all/\n' }
    const link: Entry = { name: 'd', type: 'symlink', linkname: canary }
    const hostile: readonly (readonly Entry[])[] = [
      [file, { name: '../../escaped', content: 'x' }],
      [file, { name: `${canary}/escaped`, content: 'x' }],
      [file, link, { name: 'd/escaped', content: 'x' }],
      [file, { name: 'hard', type: 'link', linkname: `${canary}/secret` }],
      [file, { name: 'hard', type: 'link', linkname: `../../../../../..${canary}/secret` }],
      [{ name: 'Dockerfile', type: 'symlink', linkname: `${canary}/secret` }],
      [{ name: 'Dockerfile', content: 'FROM base\nCOPY d/secret /got\n' }, link],
      [{ name: 'Dockerfile', content: 'FROM base\nADD ../canary/secret /got\n' }],
      [{ name: 'Dockerfile', content: 'FROM base\nCOPY /../../canary/secret /got\n' }],
    ]
    for (const entries of hostile) {
      const answer = await buildRaw(entries)
      const what = JSON.stringify(entries)
      assert.ok(!answer.includes('of the host'), `${what}: ${answer}`)
      assert.deepEqual(await readdir(canary), ['secret'], what)
      if (!answer.includes('Successfully built')) continue
      await builder.server.docker('save', '-o', join(builder.folder, 'hostile-image.tar'), 'hostile')
      assert.ok(!(await readFile(join(builder.folder, 'hostile-image.tar'))).includes('of the host'), what)
    }
    assert.equal(await readFile(join(canary, 'secret'), 'utf8'), 'of the host')
    await rm(join(builder.folder, 'hostile.tar'))
  })
})
