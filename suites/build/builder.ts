import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import { command, type CommandResult } from '../harness/command.ts'
import type { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startEngine, type EngineOptions } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const APPLETS = [
  ...['sh', 'cat', 'echo', 'id', 'ls', 'mkdir', 'ln', 'test', 'env', 'stat', 'sleep', 'head', 'yes', 'true'],
  ...['rm', 'grep', 'mknod', 'mount', 'chmod', 'find', 'wc'],
]

/** An engine with the image `base`, which is this host's busybox and nothing else. */
export interface Builder {
  readonly server: Server
  readonly folder: string
  /** A folder with these files. */
  context(files: Readonly<Record<string, string | Buffer>>): Promise<string>
  /** `docker build OPTIONS PATH` by the classic builder's interface. */
  build(path: string, ...options: readonly string[]): Promise<CommandResult>
  /** `docker build -q`, which must succeed: the image's id. */
  idOf(path: string, ...options: readonly string[]): Promise<string>
  /** What a command prints in a container of an image. */
  run(image: string, ...argv: readonly string[]): Promise<string>
}

export interface BuilderOptions extends Omit<EngineOptions, 'folder'> {
  readonly folder?: string
}

export async function startBuilder(scope: Scope, options: BuilderOptions): Promise<Builder> {
  const folder = options.folder ?? scope.use(await tempFolder('build')).path
  const server = scope.use(await startEngine({ ...options, folder }))
  await importBase(server, folder)
  const build: Builder['build'] = (path, ...flags) =>
    server.run(['env', 'DOCKER_BUILDKIT=0', 'docker', 'build', ...flags, path], { timeout: 90_000 })
  return {
    server,
    folder,
    build,
    async context(files) {
      const path = join(folder, `context-${Math.random().toString(36).slice(2)}`)
      await mkdir(path)
      for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content)
      return path
    },
    async idOf(path, ...flags) {
      const { code, stdout, stderr } = await build(path, '-q', ...flags)
      assert.equal(code, 0, stderr)
      return stdout.trim()
    },
    run: (image, ...argv) => server.docker('run', '--rm', '--network', 'none', image, ...argv),
  }
}

async function importBase(server: Server, folder: string): Promise<void> {
  const root = join(folder, 'rootfs')
  await mkdir(join(root, 'bin'), { recursive: true })
  await command(['sh', '-c', `cp "$(command -v busybox)" '${root}/bin/busybox'`], { check: true })
  for (const name of APPLETS) await symlink('busybox', join(root, 'bin', name))
  const tar = ['tar', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-C', root]
  await command([...tar, '-cf', join(folder, 'image.tar'), '.'], { check: true })
  await server.docker('import', join(folder, 'image.tar'), 'base')
}

/** A context with a Dockerfile alone, as a tar. */
export async function tarOf(dockerfile: string): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name: 'Dockerfile' }, dockerfile)
  archive.finalize()
  const parts: Buffer[] = []
  for await (const part of archive) parts.push(Buffer.from(part as Uint8Array))
  return Buffer.concat(parts)
}
