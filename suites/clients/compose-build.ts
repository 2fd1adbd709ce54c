import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Server } from '../harness/server.ts'
import { REGISTRY } from './client-side.ts'
import { composeProject } from './compose-project.ts'

const FILE = `
services:
  made:
    build:
      context: .
      dockerfile: Dockerfile.made
      target: wanted
      args: { WORD: "from compose" }
      labels: { built: by-compose }
    image: made-by-compose
    command: ["cat", "/word", "/input/greeting"]
`

const DOCKERFILE = `FROM ${REGISTRY}/busybox AS wanted
ARG WORD=none
RUN echo "$WORD" > /word
COPY input /input
FROM wanted
RUN exit 1
`

/** A service with `build:`, by the classic builder. */
export async function composeBuild(
  t: TestContext,
  server: Server,
  program: readonly string[],
): Promise<void> {
  const compose = await composeProject(server, program, 'maker', FILE)
  await writeFile(join(server.folder, 'maker', 'Dockerfile.made'), DOCKERFILE)
  await t.test('a service is built, and built again from the cache', async () => {
    await compose.run('build')
    const format = '{{.Id}} {{index .Config.Labels "built"}}'
    const first = await server.docker('image', 'inspect', '-f', format, 'made-by-compose')
    assert.match(first, / by-compose$/)
    await compose.run('build')
    assert.equal(await server.docker('image', 'inspect', '-f', format, 'made-by-compose'), first)
  })
  await t.test('up builds what is missing, and a build that fails fails it', async () => {
    await server.docker('rmi', 'made-by-compose')
    assert.match(await compose.run('up', '--no-color'), /from compose[^]*read from the host/)
    await compose.run('down', '--rmi', 'all')
    await writeFile(
      join(server.folder, 'maker', 'Dockerfile.made'),
      `${DOCKERFILE}FROM scratch AS other\n`.replace('COPY input', 'COPY nosuch'),
    )
    const failed = await compose.attempt('build')
    assert.notEqual(failed.code, 0)
    assert.match(failed.stdout + failed.stderr, /nosuch/)
  })
}
