/**
 * A machine under QEMU's software emulation that has cgroup v2 alone and in it the whole engine: Debian's kernel, busybox,
 * Node, the engine in one file, and a story that is told to the engine and reports on the serial console. It begins with
 * busybox, or, with a root of Debian's, with systemd.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { CLOCK, emulate, machineKernel, type Kernel } from '../harness/emulated-machine.ts'
import { PROJECT } from '../harness/project.ts'
import { findProgram } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'

/** What a machine of one architecture is put together from. */
export interface Parts {
  readonly qemu: readonly string[]
  readonly console: string
  readonly kernel: Kernel
  readonly busybox: string
  readonly node: string
  /** Path inside → path here: Node's libraries. */
  readonly libraries: Readonly<Record<string, string>>
  readonly core: string
}

export interface Story {
  /** A module of this folder, which the machine's Node runs when the engine is there; see story.ts. */
  readonly module: string
  /** Path inside the image `bb` → path here. */
  readonly programs?: Readonly<Record<string, string>>
  /** They are in the machine's own root, too. */
  readonly alsoOutside?: boolean
  /** Path of a table that the firmware has, too. */
  readonly acpi?: string
  /** Added to the kernel's command line. */
  readonly append?: string
}

/** What makes the machine's root more than the engine and the story. */
export interface Begin {
  /** Puts it there, before all else. */
  readonly lay: (root: string) => void
  /** For the kernel's command line. */
  readonly append: string
}

/** Bridges and filters are what the engine opens with; overlay is what containers are made of. */
const MODULES = ['fs/overlayfs', 'net', 'drivers/net', 'lib', 'crypto', 'arch']

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for folder in /run /tmp; do mount -t tmpfs tmpfs $folder; done
mount -t cgroup2 none /sys/fs/cgroup
modprobe overlay; ip link set lo up
node /opt/dewar/dist/src/daemon/main.js engine 2>&1 &
node /opt/dewar/story.mjs 2>&1 && echo "== end"
sync; poweroff -f
`

/** The first process is a script that starts the engine and then the story. */
const BY_BUSYBOX: Begin = {
  append: 'init=/init cgroup_no_v1=all',
  lay(root) {
    for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'sbin', 'usr/bin', 'var/lib', 'etc'])
      mkdirSync(join(root, name), { recursive: true })
    writeFileSync(join(root, 'init'), INIT)
    chmodSync(join(root, 'init'), 0o755)
  },
}

/** Resolves with what the story wrote. */
export async function tell(parts: Parts, story: Story, begin: Begin = BY_BUSYBOX): Promise<string> {
  await using folder = await tempFolder('machine')
  const root = join(folder.path, 'root')
  mkdirSync(root)
  begin.lay(root)
  copyModules(parts.kernel, root)
  await putEngine(parts, root)
  await bundle(`suites/machines/${story.module}`, join(root, 'opt/dewar/story.mjs'))
  const { programs = {}, alsoOutside = false, acpi, append = '' } = story
  image(join(folder.path, 'image'), parts, programs, join(root, 'image.tar'))
  if (alsoOutside) for (const [inside, here] of Object.entries(programs)) put(root, inside, here)
  const text = await run(parts, { folder: folder.path, acpi, append: `${begin.append} ${append}` })
  if (!text.includes('== end')) throw new Error(`the machine did not come to the story’s end:\n${text}`)
  return text
}

function put(root: string, inside: string, here: string): void {
  mkdirSync(dirname(join(root, inside)), { recursive: true })
  cpSync(here, join(root, inside), { dereference: true, recursive: true })
}

function copyModules(kernel: Kernel, root: string): void {
  const [version = ''] = readdirSync(kernel.modules)
  const inside = join(root, 'lib/modules', version)
  for (const name of MODULES)
    cpSync(join(kernel.modules, version, 'kernel', name), join(inside, 'kernel', name), { recursive: true })
  for (const name of ['modules.builtin', 'modules.order'])
    cpSync(join(kernel.modules, version, name), join(inside, name))
  execFileSync('/bin/busybox', ['depmod', '-b', root, version])
}

async function putEngine(parts: Parts, root: string): Promise<void> {
  put(root, 'bin/busybox', parts.busybox)
  symlinkSync('../bin/busybox', join(root, 'sbin/modprobe'))
  put(root, 'bin/node', parts.node)
  for (const [inside, here] of Object.entries(parts.libraries)) put(root, inside, here)
  for (const path of ['package.json', 'bin/dewar', 'dist/cli'])
    put(root, `opt/dewar/${path}`, join(PROJECT, path))
  put(root, 'opt/dewar/native/build/dewar-core', parts.core)
  await bundle('src/daemon/main.js', join(root, 'opt/dewar/dist/src/daemon/main.js'))
}

/** In one file: Node is slow under emulation. */
async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [join(PROJECT, 'dist', entry)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    banner: { js: "import{createRequire}from'module';const require=createRequire(import.meta.url);" },
  })
}

/** A root file system of busybox, as an archive to import. */
function image(
  folder: string,
  parts: Parts,
  programs: Readonly<Record<string, string>>,
  archive: string,
): void {
  for (const name of ['bin', 'tmp', 'proc', 'dev', 'sys', 'etc', 'mnt'])
    mkdirSync(join(folder, name), { recursive: true })
  cpSync(parts.busybox, join(folder, 'bin/busybox'), { dereference: true })
  const applets = ['sh', 'sleep', 'cat', 'tail', 'mknod', 'mount', 'dd', 'grep', 'echo', 'nproc', 'uname']
  for (const name of [...applets, 'ls', 'readlink', 'id', 'time', 'head', 'true', 'ping'])
    symlinkSync('busybox', join(folder, 'bin', name))
  for (const [inside, here] of Object.entries(programs)) cpSync(here, join(folder, inside))
  execFileSync('tar', ['-C', folder, '--owner=0', '--group=0', '-cf', archive, '.'])
}

interface Hardware {
  readonly folder: string
  readonly acpi: string | undefined
  readonly append: string
}

/** With a disk of the folder's root, and a blank one of 64 MB. */
function run(parts: Parts, { folder, acpi, append }: Hardware): Promise<string> {
  const disk = join(folder, 'disk')
  const options = ['-q', '-t', 'ext4', '-O', '^has_journal', '-d', join(folder, 'root')]
  execFileSync(findProgram('mke2fs') ?? 'mke2fs', [...options, disk, '1G'])
  const blank = join(folder, 'blank')
  writeFileSync(blank, new Uint8Array(64 << 20))
  const line = `console=${parts.console} quiet panic=-1 reboot=t root=/dev/nvme0n1 rw ${CLOCK} ${append}`
  return emulate(parts.qemu, [
    ...['-m', '1024', '-kernel', parts.kernel.vmlinuz, '-append', line],
    ...['-drive', `file=${disk},if=none,id=d,format=raw`, '-device', 'nvme,serial=d,drive=d,ioeventfd=off'],
    ...['-drive', `file=${blank},if=none,id=b,format=raw`, '-device', 'nvme,serial=b,drive=b,ioeventfd=off'],
    ...(acpi === undefined ? [] : ['-acpitable', `file=${acpi}`]),
  ])
}

/** This machine's own programs, on Debian's kernel. */
export async function partsOfHost(): Promise<Parts | string> {
  const kernel = await machineKernel()
  if (typeof kernel === 'string') return kernel
  const listed = execFileSync('ldd', [process.execPath], { encoding: 'utf8' })
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => [path, path] as const)
  return {
    qemu: ['qemu-system-x86_64', '-M', 'pc', '-cpu', 'max'],
    console: 'ttyS0',
    kernel,
    busybox: '/bin/busybox',
    node: process.execPath,
    libraries: Object.fromEntries(libraries),
    core: join(PROJECT, 'native/build/dewar-core'),
  }
}
