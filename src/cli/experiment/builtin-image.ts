/**
 * An image made in a moment from the host's own programs, for machines that reach no registry: Node, a shell and the
 * everyday utilities with the shared libraries they need, and a small web server. Nothing is compiled or downloaded.
 */
import { access, constants, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError } from '../../base/errors.ts'
import { SERVER_JS } from './builtin-server.ts'
import type { Tree } from './host-files.ts'
import { addContent, addDirectory, addHostFile } from './host-files.ts'
import type { ImageArchive } from './image-archive.ts'
import { imageArchive } from './image-archive.ts'
import { libraryClosure } from './library-closure.ts'

export const BUILTIN_REFERENCE = 'dewar.local/experiment:latest'

/** Without these the image makes no sense; every other program is taken when the host has it. */
const REQUIRED = ['sh', 'cat', 'ls', 'touch']
const WANTED = (
  'bash awk basename chmod chown cp cut date dd df dirname du echo env expr false find free grep groups head ' +
  'hostname id kill ln md5sum mkdir mktemp more mount mv nproc od printf ps pwd readlink rm rmdir sed seq ' +
  'sha256sum sleep sort stat stty sync tail tee test timeout top tr true truncate tty uname uniq wc which whoami xargs'
).split(' ')
const PROGRAM_FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface BuiltinImage extends ImageArchive {
  readonly reference: string
  /** Programs found on the host, by name. */
  readonly programs: readonly string[]
}

/** Throws not-found when the host lacks a program or library that the image cannot do without. */
export async function builtinImage(): Promise<BuiltinImage> {
  const { tree, programs } = await collectTree()
  const archive = await imageArchive(tree, {
    reference: BUILTIN_REFERENCE,
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    comment: "made from the host's own programs",
    config: {
      Cmd: ['node', '/srv/server.js'],
      Env: [`PATH=${PATH}`],
      ExposedPorts: { '80/tcp': {} },
      WorkingDir: '/',
      StopSignal: 'SIGTERM',
    },
  })
  return { ...archive, reference: BUILTIN_REFERENCE, programs }
}

/** The image's file tree, before packing. */
export async function collectTree(): Promise<{ tree: Tree; programs: readonly string[] }> {
  const node = await realpath(process.execPath)
  const found = await Promise.all(
    [...REQUIRED, ...WANTED].map(async (name) => ({ name, path: await which(name) })),
  )
  const missing = found.filter(({ name, path }) => path === undefined && REQUIRED.includes(name))
  if (missing.length > 0) {
    throw new DewarError(
      'not-found',
      `cannot make the built-in image: no ${missing[0]?.name} in ${PROGRAM_FOLDERS.join(':')}`,
    )
  }
  const programs = found.flatMap(({ name, path }) => (path === undefined ? [] : [{ name, path }]))
  const paths = programs.map(({ path }) => path)
  const { paths: libraries } = await libraryClosure([node, ...paths])
  const tree: Tree = new Map()
  for (const path of [node, ...paths, ...libraries]) await addHostFile(tree, path)
  // Scripts say #!/bin/sh even where the programs lie in /usr/bin: folders or links, as they are on the host.
  for (const folder of ['/bin', '/sbin', '/lib']) await addHostFile(tree, folder)
  addNode(tree, node)
  addSystemFiles(tree)
  return { tree, programs: ['node', ...programs.map(({ name }) => name)].sort() }
}

/** Node lives where its version manager put it; in the image it must also be on PATH. */
function addNode(tree: Tree, node: string): void {
  const places = PATH.split(':').map((folder) => join(folder, 'node'))
  if (places.some((place) => tree.has(place))) return
  addDirectory(tree, '/usr/local/bin')
  tree.set('/usr/local/bin/node', { type: 'symlink', target: node })
}

function addSystemFiles(tree: Tree): void {
  for (const folder of ['/dev', '/etc', '/home', '/proc', '/root', '/run', '/srv', '/sys', '/var']) {
    addDirectory(tree, folder)
  }
  for (const folder of ['/tmp', '/var/tmp']) {
    addDirectory(tree, folder)
    // Also where it is there already because Node was unpacked below it.
    if (tree.get(folder)?.type === 'directory') tree.set(folder, { type: 'directory', mode: 0o1777 })
  }
  addContent(tree, '/srv/server.js', SERVER_JS)
  addContent(
    tree,
    '/etc/passwd',
    'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/srv:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n',
  )
  addContent(tree, '/etc/group', 'root:x:0:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n')
  addContent(tree, '/etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n')
  addContent(
    tree,
    '/etc/os-release',
    'ID=dewar-experiment\nNAME="Dewar experiment"\nPRETTY_NAME="Dewar experiment image"\n',
  )
}

async function which(name: string): Promise<string | undefined> {
  for (const folder of PROGRAM_FOLDERS) {
    const path = join(folder, name)
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (usable) return path
  }
  return undefined
}
