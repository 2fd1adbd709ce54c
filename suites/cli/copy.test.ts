/** `cp` both ways with all of docker's path rules: the same words to both clients leave the same trees. */
import assert from 'node:assert/strict'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { bothClients, NEEDS } from './both-clients.ts'
import type { BothClients } from './both-clients.ts'

/** Source → destination, in a fresh local folder that holds `have/` (with a file) and `file`. */
const OUT = [
  ['/d', 'have'],
  ['/d', 'new'],
  ['/d/.', 'have'],
  ['/d/.', 'new'],
  ['/d/', 'have'],
  ['/d', 'file'],
  ['/d/f', 'have'],
  ['/d/f', 'new'],
  ['/d/f', 'file'],
  ['/d/f', 'new/'],
  ['/d/f', 'nodir/new'],
  ['/d/link', 'have'],
  ['/d/link', 'new'],
  ['-L /d/link', 'new'],
  ['-L /d/link', 'have'],
  ['/d/dirlink', 'new'],
  ['-L /d/dirlink', 'new'],
  ['/nope', 'new'],
  ['d/f', 'have'],
  ['/', 'have'],
] as const
const IN = [
  ['have', '/have'],
  ['have', '/new'],
  ['have/.', '/have'],
  ['have/.', '/new'],
  ['have/', '/have'],
  ['have', '/file'],
  ['file', '/have'],
  ['file', '/new'],
  ['file', '/file'],
  ['file', '/new/'],
  ['file', '/nodir/new'],
  ['link', '/have'],
  ['link', '/new'],
  ['-L link', '/new'],
  ['dirlink', '/new'],
  ['dirlink/', '/have'],
  ['-L dirlink', '/have'],
  ['nope', '/new'],
  ['file/', '/new'],
  ['file', '/abslink'],
  ['have', '/abslink'],
  ['file', 'have'],
] as const

describe('dewar cp', { skip: missing(...NEEDS, 'tar'), concurrency: 1 }, () => {
  let both: BothClients
  before(async () => {
    both = await bothClients()
    const make =
      'mkdir -p /d/sub /bin2; echo f > /d/f; echo s > /d/sub/s; ln -s f /d/link; ln -s sub /d/dirlink; chmod 4755 /d/f; rm -rf /bin /tmp'
    await both.docker(['run', '--net=none', '--name=from', 'busybox', 'sh', '-c', make])
  })
  after(async () => both?.[Symbol.asyncDispose]())

  for (const [source, target] of OUT) {
    test(`cp ${source.replace('/', 'CONTAINER:/')} ${target} leaves what docker leaves`, async () => {
      const [docker, dewar] = [
        await copyOut('docker', source, target),
        await copyOut('dewar', source, target),
      ]
      assert.deepEqual(dewar, docker)
    })
  }

  const copyOut = async (client: 'docker' | 'dewar', source: string, target: string): Promise<unknown> => {
    const folder = join(both.folder, 'out')
    await rm(folder, { recursive: true, force: true })
    await mkdir(join(folder, 'have'), { recursive: true })
    await writeFile(join(folder, 'have/old'), 'old\n')
    await writeFile(join(folder, 'file'), 'was here\n')
    const words = source.split(' ')
    const path = words.pop() ?? ''
    const { code, stdout, stderr } = await both[client](['cp', ...words, `from:${path}`, target], {
      cwd: folder,
    })
    return { code, stdout, stderr, tree: await tree(folder) }
  }

  for (const [source, target] of IN) {
    test(`cp ${source} CONTAINER:${target} leaves what docker leaves`, async () => {
      const [docker, dewar] = [await copyIn('docker', source, target), await copyIn('dewar', source, target)]
      assert.deepEqual(dewar, docker)
    })
  }

  const copyIn = async (client: 'docker' | 'dewar', source: string, target: string): Promise<unknown> => {
    const folder = join(both.folder, 'in')
    await rm(folder, { recursive: true, force: true })
    await mkdir(join(folder, 'have/sub'), { recursive: true })
    await writeFile(join(folder, 'have/f'), 'f\n')
    await writeFile(join(folder, 'file'), 'file\n', { mode: 0o640 })
    await symlink('file', join(folder, 'link'))
    await symlink('have', join(folder, 'dirlink'))
    await both.docker(['rm', '-f', 'into'])
    const make = 'mkdir /have; echo old > /have/old; echo was > /file; ln -s /have /abslink'
    await both.docker(['run', '--net=none', '--name=into', 'busybox', 'sh', '-c', make])
    const words = source.split(' ')
    const path = words.pop() ?? ''
    const { code, stdout, stderr } = await both[client](['cp', ...words, path, `into:${target}`], {
      cwd: folder,
    })
    await both.docker(['commit', 'into', 'into:done'])
    const find =
      'find /have /new /file /abslink /nodir -exec ls -ldn {} + 2>/dev/null | sed "s/ [A-Z][a-z][a-z] .*[0-9] / /"; cat /new /file /have/file 2>/dev/null'
    const after = await both.docker(['run', '--rm', '--net=none', 'into:done', 'sh', '-c', find])
    // docker's library says on stderr that its own pipe broke.
    return { code, stdout, stderr: stderr.replace(/^time=.*\n/gm, ''), after: after.stdout }
  }

  test('cp takes a tar stream and gives one', async () => {
    const given = await both.server.run(['sh', '-c', `${cli()} cp from:/d - | tar -t | sort`])
    const wanted = await both.server.run(['sh', '-c', 'docker cp from:/d - | tar -t | sort'])
    assert.equal(given.stdout, wanted.stdout)
    const sent = await both.server.run([
      'sh',
      '-c',
      `tar -C ${both.folder}/busybox -c etc | ${cli()} cp - from:/bin2; ${cli()} cp from:/bin2/etc/passwd - | tar -xO`,
    ])
    assert.equal(sent.stdout, 'root:x:0:0:root:/:/bin/sh\n')
  })

  test('cp does not carry a container’s set-user-id bit to the host', async () => {
    const folder = join(both.folder, 'bits')
    await mkdir(folder)
    await both.dewar(['cp', 'from:/d/f', folder])
    const { stdout } = await command(['stat', '-c', '%a', join(folder, 'f')])
    assert.equal(stdout, '755\n')
  })
})

function cli(): string {
  return process.env['DEWAR_CLI'] ?? new URL('../../../bin/dewar', import.meta.url).pathname
}

/** Names, kinds, modes without set-user-id, link targets and contents. */
async function tree(folder: string): Promise<string> {
  const line =
    'find . -printf "%P %y %m %l\\n" | sed "s/ 4755 / 755 /" | grep -v -E "^(proc|sys|dev|\\.dockerenv)|have/(proc|sys|dev|etc)" | sort; find . -type f -size -2k | grep -v -E "/(proc|sys|dev|etc)/" | sort | xargs cat'
  const { stdout } = await command(['sh', '-c', line], { cwd: folder })
  return stdout
}
