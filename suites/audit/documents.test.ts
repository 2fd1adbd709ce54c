/**
 * The audit's commands in docs/AUDIT.md and README.md are run as they stand, by a shell, on a machine where the engines are
 * there; only the number of probes and rounds is kept small. The policy of the document is the one that they name.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { command, describe as told } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR, PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers } from '../harness/server.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import { startEngine } from '../harness/start-engine.ts'
import { startPodman } from '../harness/start-podman.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const read = (file: string): string => readFileSync(join(PROJECT, file), 'utf8')

/** Lines of the shell's blocks and of CI's steps that begin with the audit's commands. */
function commandsIn(text: string): string[] {
  return [...text.matchAll(/^(?:- run: sudo |  script: )?(dewar (?:audit|compare)\b.*)$/gm)].map(
    ([, line = '']) => line.replace(/\s+#.*$/, ''),
  )
}

const AUDIT = read('docs/AUDIT.md')
const COMMANDS = [...new Set([...commandsIn(AUDIT), ...commandsIn(read('README.md'))])]
const POLICY = /```yaml\n(version: 1\n[\s\S]*?)```/.exec(AUDIT)?.[1] ?? ''

/** Few probes: what is asked here is whether the words are understood and everything is written. */
function shortened(line: string): string {
  if (/^dewar compare/.test(line)) return `${line} --rounds 1`
  if (/^dewar audit (show|diff|reference|container)/.test(line)) return line
  return line.replace(/^dewar audit/, 'dewar audit --probe O05,I21')
}

const needs = missing('dockerd', 'podman', 'runsc', 'busybox', 'tar')

describe('the commands of the documents', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let folder = ''
  let env: Record<string, string> = {}

  before(async () => {
    folder = scope.use(await tempFolder('documents')).path
    const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
    const own = { folder: join(folder, 'dewar'), network, bridge: 'dwtd9', subnet: '172.26.9.0/24' }
    const dewar = scope.use(await startEngine(own))
    // They would outlive their engine.
    scope.defer(() => removeAllContainers(dewar))
    const dockerd = scope.use(await startDockerd({ folder: join(folder, 'dockerd'), network }))
    const podman = scope.use(await startPodman(join(folder, 'podman'), network))
    const bin = join(folder, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'dewar'), `#!/bin/sh\nexec "${DEWAR}" "$@"\n`)
    await chmod(join(bin, 'dewar'), 0o755)
    env = {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      DEWAR_HOST: `unix://${dewar.socket}`,
      DOCKER_HOST: `unix://${dockerd.socket}`,
      CONTAINER_HOST: `unix://${podman.socket}`,
    }
    await startWeb(dewar.docker)
    await writeFile(join(folder, 'policy.yaml'), POLICY)
    await keepReports()
  })
  after(async () => scope[Symbol.asyncDispose]())

  /** The running container that the documents judge. */
  async function startWeb(docker: (...words: readonly string[]) => Promise<string>): Promise<void> {
    const rootfs = join(folder, 'rootfs')
    await mkdir(join(rootfs, 'bin'), { recursive: true })
    await copyFile('/bin/busybox', join(rootfs, 'bin', 'sleep'))
    await command(['tar', '-C', rootfs, '-cf', `${rootfs}.tar`, 'bin'], { check: true })
    await docker('import', `${rootfs}.tar`, 'web-image')
    await docker('run', '-d', '--name', 'web', 'web-image', '/bin/sleep', '3600')
  }

  /** Files that the documents take as there, as their own commands make them. */
  async function keepReports(): Promise<void> {
    const line = 'dewar audit --json --probe O05,I21 docker > before.json && cp before.json after.json'
    await command(['sh', '-c', line], { env, cwd: folder, check: true, timeout: 900_000 })
    // Of another machine, as far as anybody can tell.
    const other = 'dewar audit reference | sed \'s/"machine": "[^"]*"/"machine": "another"/\' > other.json'
    await command(['sh', '-c', other], { env, cwd: folder, check: true, timeout: 900_000 })
  }

  test('the documents have commands and a policy', () => {
    assert.ok(COMMANDS.length >= 12, COMMANDS.join('\n'))
    assert.match(POLICY, /exceptions:/)
  })

  for (const line of COMMANDS)
    test(`runs: ${line}`, async () => {
      const used = line.includes('> other.json') ? line.replace('> other.json', '> own.json') : line
      const result = await command(['sh', '-c', shortened(used)], { env, cwd: folder, timeout: 900_000 })
      if (line.includes('--policy')) {
        assert.match(result.stdout, /^policy (held|BROKEN|NOT PROVEN):/m, told([line], result))
        assert.ok(result.code <= 2 && !/is no policy|reading /.test(result.stderr), told([line], result))
      } else assert.equal(result.code, 0, told([line], result))
      assert.doesNotMatch(result.stdout, /not judged/)
      for (const [, file = ''] of line.matchAll(/(?:--html|--sarif|--junit|>) (\S+)/g))
        assert.ok(existsSync(join(folder, file.replace('other.json', 'own.json'))), `${file} was written`)
    })
})
