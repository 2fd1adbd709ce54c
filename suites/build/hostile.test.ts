/** Contexts and Dockerfiles that want out, hang the engine or fill it, and builds that must come out the same elsewhere. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { lstat, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pack } from 'tar-stream'
import { callApi } from '../harness/call-api.ts'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startBuilder, type Builder } from './builder.ts'

type Header = NonNullable<Parameters<ReturnType<typeof pack>['entry']>[0]>
type Entry = readonly [header: Header, content?: string]

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack()
  for (const [header, content] of entries) archive.entry(header, content ?? '')
  archive.finalize()
  const parts: Buffer[] = []
  for await (const part of archive) parts.push(Buffer.from(part as Uint8Array))
  return Buffer.concat(parts)
}

describe('hostile builds', { skip: missing('docker', 'busybox', 'tar'), concurrency: 1 }, () => {
  const scope = new Scope()
  let builder: Builder
  let canary = ''

  before(async () => {
    builder = await startBuilder(scope, { bridge: 'dwtb6', subnet: '172.29.6.0/24' })
    canary = join(builder.folder, 'canary')
    await mkdir(canary)
    await writeFile(join(canary, 'secret'), 'of the host')
  })
  after(async () => scope[Symbol.asyncDispose]())

  const send = (tar: Buffer, query = '') =>
    callApi(builder.server.socket, 'POST', `/build?nocache=1${query}`, tar, {
      headers: { 'Content-Type': 'application/x-tar' },
      timeout: 30_000,
    })
  const dockerfile = (content: string): Entry => [{ name: 'Dockerfile' }, content]

  async function untouched(what: string): Promise<void> {
    assert.deepEqual(await readdir(canary), ['secret'], what)
    assert.equal(await readFile(join(canary, 'secret'), 'utf8'), 'of the host', what)
    assert.equal((await builder.server.api('GET', '/_ping')).status, 200, what)
  }

  test('a Dockerfile that is a pipe, a device, a folder or a loop is refused at once', async () => {
    const kinds: readonly Header[] = [
      { name: 'Dockerfile', type: 'fifo' },
      { name: 'Dockerfile', type: 'character-device', devmajor: 1, devminor: 5 },
      { name: 'Dockerfile', type: 'block-device', devmajor: 7, devminor: 0 },
      { name: 'Dockerfile/', type: 'directory' },
      { name: 'Dockerfile', type: 'symlink', linkname: 'Dockerfile' },
      { name: 'Dockerfile', type: 'symlink', linkname: '/dev/zero' },
      { name: 'Dockerfile', type: 'symlink', linkname: '/proc/self/fd/0' },
    ]
    for (const header of kinds) {
      const { status, text } = await send(await tarOf([[header]]))
      const what = `${header.type} ${header.linkname ?? ''}: ${text}`
      assert.ok(status >= 400, what)
      assert.ok(!text.includes('Successfully'), what)
      await untouched(what)
    }
    const ignoring = await tarOf([dockerfile('FROM base\n'), [{ name: '.dockerignore', type: 'fifo' }]])
    assert.ok((await send(ignoring)).status >= 400)
  })

  test('a Dockerfile may be a symlink to a file of the context', async () => {
    const link: Entry = [{ name: 'Dockerfile', type: 'symlink', linkname: './sub/../sub/Real' }]
    const tar = await tarOf([link, [{ name: 'sub/Real' }, 'FROM base\nCMD x\n']])
    assert.match((await send(tar)).text, /Successfully built/)
  })

  test('files that claim what they have not, and Dockerfiles without end, are refused', async () => {
    const cut = (
      await tarOf([dockerfile('FROM base\n'), [{ name: 'f', size: 600 }, 'x'.repeat(600)]])
    ).subarray(0, 1700)
    assert.match((await send(cut)).text, /unexpected end of archive/)
    const huge = Buffer.from(await tarOf([dockerfile('FROM base\nCOPY . /\n'), [{ name: 'f' }, '']]))
    // The second header: 8 EiB in base 256.
    huge.set([0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1024 + 124)
    huge.fill(0x20, 1024 + 148, 1024 + 156)
    const sum = huge.subarray(1024, 1536).reduce((total, byte) => total + byte, 0)
    huge.write(`${sum.toString(8).padStart(6, '0')}\0 `, 1024 + 148, 'latin1')
    assert.ok((await send(huge)).status >= 400)
    const long = await send(await tarOf([dockerfile(`FROM base\n${'#'.repeat(5 * 1024 * 1024)}\n`)]))
    assert.match(long.text, /has more than \d+ bytes/)
    const many = await send(await tarOf([dockerfile(`FROM base\n${'\\\n'.repeat(200_000)}\n`)]))
    assert.ok(many.status >= 400 || many.text.includes('built'), many.text.slice(0, 300))
    await untouched('sizes')
  })

  test('an archive that ADD unpacks reaches nothing outside of the image', async () => {
    const evil: readonly (readonly Entry[])[] = [
      [[{ name: '../../../../../../../../..' + canary + '/escaped' }, 'x']],
      [[{ name: `${canary}/escaped` }, 'x']],
      [[{ name: 'd', type: 'symlink', linkname: canary }], [{ name: 'd/escaped' }, 'x']],
      [
        [{ name: 'd', type: 'symlink', linkname: canary }],
        [{ name: 'd', type: 'directory' }],
        [{ name: 'd/escaped' }, 'x'],
      ],
      [[{ name: 'h', type: 'link', linkname: `${canary}/secret` }], [{ name: 'h' }, 'overwritten']],
      [[{ name: 's', type: 'symlink', linkname: `${canary}/secret` }], [{ name: 's' }, 'overwritten']],
      [[{ name: 'zero', type: 'character-device', devmajor: 1, devminor: 5 }]],
    ]
    for (const entries of evil) {
      const inner = (await tarOf(entries)).toString('latin1')
      const archive = pack()
      archive.entry({ name: 'Dockerfile' }, 'FROM base\nADD evil.tar /\nRUN ls /\n')
      archive.entry({ name: 'evil.tar' }, Buffer.from(inner, 'latin1'))
      archive.finalize()
      const parts: Buffer[] = []
      for await (const part of archive) parts.push(Buffer.from(part as Uint8Array))
      await send(Buffer.concat(parts))
      await untouched(JSON.stringify(entries))
    }
  })

  test('a link that loops or leads out is no way to a file of the host', async () => {
    for (const [linkname, wanted] of [
      [canary, '/d/secret'],
      [`../../../../../../../..${canary}`, '/d/secret'],
      ['/proc/1/root', `/d${'/'}etc/passwd`],
      ['d', '/d/x'],
    ] as const) {
      const tar = await tarOf([
        dockerfile(`FROM base\nCOPY d${wanted.slice(2)} /got\nRUN cat /got\n`),
        [{ name: 'd', type: 'symlink', linkname }],
      ])
      const { text } = await send(tar)
      assert.match(text, /COPY failed/, text)
      assert.ok(!text.includes('of the host') && !text.includes('root:x:'), text)
    }
  })

  test('no Dockerfile loosens the walls of its steps', async () => {
    const plain = 'grep -E "^(Cap|Seccomp|NoNewPrivs)" /proc/self/status; cat /proc/self/uid_map | wc -l'
    const asRun = await builder.run('base', 'sh', '-c', plain)
    const labels =
      'LABEL privileged=true security-opt=seccomp=unconfined\nENV DOCKER_SECURITY_OPT=x\nUSER 0:0\n'
    const { stdout, code, stderr } = await builder.build(
      await builder.context({
        Dockerfile: `# syntax=docker/dockerfile:labs\nFROM base\n${labels}RUN ${plain}\n`,
      }),
      '--no-cache',
    )
    assert.equal(code, 0, stderr)
    assert.ok(stdout.includes(asRun), `${stdout}\nis not\n${asRun}`)
    for (const flag of [
      '--security=insecure',
      '--network=host',
      '--mount=type=bind,target=/x',
      '--privileged',
    ]) {
      const refused = await builder.build(
        await builder.context({ Dockerfile: `FROM base\nRUN ${flag} true\n` }),
      )
      assert.equal(refused.code, 1, flag)
      assert.match(refused.stderr, /requires BuildKit|Unknown flag/i)
    }
    const asked = await builder.build(
      await builder.context({ Dockerfile: 'FROM base\nRUN true\n' }),
      ...['--security-opt', 'seccomp=unconfined'],
    )
    assert.match(asked.stderr, /security options are not supported/, 'nor does whoever builds')
    const attempt =
      'mount -t tmpfs t /bin; mknod /dev/kmsg2 c 1 11; ls /proc/1/root/bin | wc -l; ls -d /dev/kmsg /dev/mem'
    const tried = await builder.build(
      await builder.context({ Dockerfile: `FROM base\nRUN ${attempt}; true\n` }),
    )
    assert.equal(tried.code, 0, tried.stderr)
    assert.match(tried.stdout, /mount: .*(not permitted|denied)/i)
    assert.match(tried.stdout, /\/dev\/mem: No such file/)
  })

  test('two engines with roots of their own make one image of one context, at another time', async () => {
    const { server, folder } = builder
    await server.docker('save', '-o', join(folder, 'base.tar'), 'base')
    const path = await builder.context({ f: 'f', g: 'g' })
    // Once past, such a date is one like others.
    const soon = Date.now() / 1000 + 3
    await utimes(join(path, 'g'), soon, soon)
    await writeFile(
      join(path, 'Dockerfile'),
      [
        'FROM base AS one',
        'RUN mkdir -p /out/deep && echo a > /out/a && ln /out/a /out/b && ln -s a /out/c && mkdir /out/d',
        'WORKDIR /work/here',
        'COPY --chown=7:8 f g ./',
        'COPY <<EOF /text',
        'text',
        'EOF',
        'FROM base',
        'ENV A=1',
        'COPY --from=one / /all/',
        'COPY f /new/folder/f',
        'RUN rm /all/text && chmod 700 /all/out && echo more >> /all/out/a',
        'VOLUME /data',
        'CMD ["x"]',
      ].join('\n'),
    )
    const first = await builder.idOf(path, '--no-cache')
    // Its second is another one, and so is its future.
    await sleep(4000)
    const elsewhere = join(folder, 'another engine')
    await mkdir(elsewhere)
    const second = await startBuilder(scope, { bridge: 'dwtb7', subnet: '172.29.7.0/24', folder: elsewhere })
    await second.server.docker('load', '-i', join(folder, 'base.tar'))
    assert.equal(await second.idOf(path, '--no-cache'), first)
    const saved = async ({ server: { docker } }: Builder, name: string) => {
      const file = join(folder, name)
      await docker('save', '-o', file, first)
      const list = await command(['tar', '-xOf', file, 'manifest.json'], { check: true })
      return createHash('sha256').update(list.stdout).digest('hex')
    }
    assert.equal(
      await saved(second, 'b.tar'),
      await saved(builder, 'a.tar'),
      'and its layers are the same bytes',
    )
    assert.ok((await lstat(join(folder, 'a.tar'))).size > 0)
  })
})
