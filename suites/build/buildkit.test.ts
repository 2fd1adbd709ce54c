/** What clients that want BuildKit get: a refusal in words from the engine, and BuildKit in a container from buildx. */
import assert from 'node:assert/strict'
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { callApi } from '../harness/call-api.ts'
import { removeParentGroups } from '../harness/parent-groups.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { trixie } from '../harness/trixie.ts'
import { importBuildKit } from './buildkit-image.ts'
import { startBuilder, type Builder } from './builder.ts'

const needs = missing('docker', 'busybox', 'tar', 'dockerd', 'runc')

describe('clients that want BuildKit', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let builder: Builder

  before(async () => {
    builder = await startBuilder(scope, { bridge: 'dwtb8', subnet: '172.29.8.0/24' })
  })
  after(async () => {
    await scope[Symbol.asyncDispose]()
    // Where buildx puts its containers.
    await removeParentGroups('docker/buildx', 'docker')
  })

  const docker = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    builder.server.run(['docker', ...argv], { timeout: 120_000, env })

  test('sessions and builds of BuildKit are refused with the remedy, and nobody waits', async () => {
    const upgrade = { Connection: 'Upgrade', Upgrade: 'h2c' }
    for (const path of ['/session', '/grpc', '/v1.45/grpc']) {
      const { status, text } = await callApi(builder.server.socket, 'POST', path, undefined, {
        headers: upgrade,
        timeout: 5000,
      })
      assert.equal(status, 501, path)
      assert.match(text, /DOCKER_BUILDKIT=0/, path)
    }
    for (const query of ['version=2', 'remote=client-session'])
      assert.match(
        (await callApi(builder.server.socket, 'POST', `/build?${query}`)).text,
        /DOCKER_BUILDKIT=0/,
      )
    const { headers } = await callApi(builder.server.socket, 'HEAD', '/_ping')
    assert.equal(headers['builder-version'], '1', 'so that clients take the classic builder by themselves')
  })

  test('buildx builds with BuildKit in a container, with a secret and a cache, and loads the image', async (t) => {
    const programs = await trixie()
    if (typeof programs === 'string') return t.skip(programs)
    const { server, folder } = builder
    await mkdir(join(folder, 'client', 'cli-plugins'))
    await symlink(programs.buildx, join(folder, 'client', 'cli-plugins', 'docker-buildx'))

    const path = await builder.context({
      Dockerfile: [
        'FROM scratch',
        'COPY --chmod=755 busybox /bin/sh',
        'RUN --mount=type=secret,id=word --mount=type=cache,target=/cache \\',
        '  read word < /run/secrets/word && echo "${#word} letters" > /made && echo x >> /cache/x',
        'ENTRYPOINT ["/bin/sh", "-c", "read line < /made; echo $line"]',
      ].join('\n'),
      secret: 'secret-8fa1\n',
      busybox: await readFile(join(folder, 'rootfs', 'bin', 'busybox')),
      '.dockerignore': 'secret\n',
    })
    const classic = await docker(['build', await builder.context({ Dockerfile: 'FROM base\n' })], {
      DOCKER_BUILDKIT: '0',
    })
    assert.equal(classic.code, 0, classic.stderr)
    const absent = ['--driver', 'docker-container', '--driver-opt', 'image=127.0.0.1:9/buildkit']
    await server.docker('buildx', 'create', '--name', 'absent', ...absent)
    const refused = await docker(['buildx', 'build', '--builder', 'absent', path])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /127\.0\.0\.1:9.*connection refused/)

    await importBuildKit(server, folder, programs, 'local/buildkit')
    const driver = ['--driver', 'docker-container', '--driver-opt', 'image=local/buildkit']
    await server.docker('buildx', 'create', '--name', 'boxed', ...driver)
    const flags = ['--builder', 'boxed', '--network', 'none', '--load', '-t', 'by-buildkit']
    const secret = ['--secret', `id=word,src=${join(path, 'secret')}`]
    const built = await docker(['buildx', 'build', ...flags, ...secret, path])
    assert.equal(
      built.code,
      0,
      `${built.stderr}\n${(await docker(['logs', 'buildx_buildkit_boxed0'])).stderr.slice(-3000)}`,
    )
    assert.equal(await server.docker('run', '--rm', '--network', 'none', 'by-buildkit'), '11 letters')
    const id = await server.docker('create', 'by-buildkit')
    const found = await server.run(['sh', '-c', `docker export ${id} | grep -ac secret-8fa1`])
    assert.equal(found.stdout.trim(), '0', 'the secret is in no file of the image')
    await server.docker('rm', id)
    await server.docker('buildx', 'rm', 'boxed')
    assert.equal(await server.docker('ps', '-aq'), '')
    assert.equal(await server.docker('volume', 'ls', '-q'), '')
  })
})
