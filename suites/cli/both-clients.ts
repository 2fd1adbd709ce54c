import { chmod, cp, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command, type CommandOptions, type CommandResult } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR } from '../harness/project.ts'
import { startRegistry } from '../harness/registry.ts'
import { findProgram } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import type { Server } from '../harness/server.ts'
import { tempFolder } from '../harness/temp-folder.ts'

export const NEEDS = ['dockerd', 'docker', 'busybox', 'nsenter', 'docker-registry'] as const
/** DEWAR_CLI: another build of the CLI, as argv separated by spaces. */
const CLI = (process.env['DEWAR_CLI'] ?? DEWAR).split(' ')

/** One real dockerd with a busybox image, asked by docker's client and by ours. */
export interface BothClients extends AsyncDisposable {
  readonly folder: string
  readonly server: Server
  /** host:port of an empty registry that the dockerd reaches. */
  readonly registry: string
  docker(args: readonly string[], options?: CommandOptions): Promise<CommandResult>
  dewar(args: readonly string[], options?: CommandOptions): Promise<CommandResult>
}

export async function bothClients(): Promise<BothClients> {
  const scope = new Scope()
  try {
    const { path: folder } = scope.use(await tempFolder('cli'))
    const network = scope.use(await networkNamespace(join(folder, 'net.log')))
    const server = scope.use(
      await startDockerd({ folder, network, arguments: ['--bridge=none', '--iptables=false', '--bip', ''] }),
    )
    const storage = join(folder, 'registry')
    const registry = scope.use(await startRegistry({ storage, folder, port: 5999, network }))
    await importBusybox(server, folder)
    return {
      folder,
      server,
      registry: registry.address,
      docker: (args, options) => server.run(['docker', ...args], options),
      dewar: (args, options) => server.run([...CLI, ...args], options),
      [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
    }
  } catch (error) {
    await scope[Symbol.asyncDispose]()
    throw error
  }
}

async function importBusybox(server: Server, folder: string): Promise<void> {
  const root = join(folder, 'busybox')
  for (const name of ['bin', 'etc', 'tmp']) await mkdir(join(root, name), { recursive: true })
  const program = await realpath(findProgram('busybox') ?? '/bin/busybox')
  await cp(program, join(root, 'bin/busybox'))
  await chmod(join(root, 'bin/busybox'), 0o755)
  const { stdout } = await command([program, '--list'], { check: true })
  for (const applet of stdout.trim().split('\n')) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  const tar = join(folder, 'busybox.tar')
  await command(['tar', '-C', root, '-cf', tar, '.'], { check: true })
  await server.docker('import', '-c', 'CMD ["sh"]', tar, 'busybox:latest')
}

/** What may differ between two runs of the same command: ids, times, ages, and the program's own name. */
export function normal(text: string): string {
  return text
    .replaceAll(/\b(docker|dewar)\b/g, 'CLIENT')
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'ID')
    .replaceAll(/(\d+ (seconds?|minutes?)|About a minute|Less than a second) ago/g, 'T ago')
    .replaceAll(/Up (\d+ (seconds?|minutes?)|About a minute|Less than a second)/g, 'Up T')
    .replaceAll(/ {2,}/g, '  ')
}
