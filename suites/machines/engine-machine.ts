/**
 * A machine under QEMU's software emulation that has cgroup v2 alone and in it the whole engine: Debian's kernel, busybox,
 * Node, the engine in one file, and a story that is told to the engine and reports on the serial console.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { cloudKernel } from '../harness/debian-packages.ts'
import { PROJECT } from '../harness/project.ts'
import { findProgram } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'

/** What a machine of one architecture is put together from. */
export interface Parts {
  readonly qemu: readonly string[]
  readonly console: string
  /** A kernel package as Debian unpacks it: boot/ and lib/modules/. */
  readonly kernel: string
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
  readonly timeoutMs: number
}

/** Bridges and filters are what the engine opens with; overlay is what containers are made of. */
const MODULES = ['fs/overlayfs', 'net', 'drivers/net', 'lib', 'crypto', 'arch']

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for folder in /run /tmp; do mount -t tmpfs tmpfs $folder; done
mount -t cgroup2 none /sys/fs/cgroup
modprobe overlay; ip link set lo up
node /opt/dewar/dist/src/daemon/main.js engine --root /var/lib/dewar --run /run/dewar -H unix:///run/dewar.sock 2>&1 &
node /opt/dewar/story.mjs 2>&1
echo "== end"
sync; poweroff -f
`

/** Resolves with what the story wrote. */
export async function tell(
  parts: Parts,
  { module, programs = {}, alsoOutside = false, acpi, append = '', timeoutMs }: Story,
): Promise<string> {
  await using folder = await tempFolder('machine')
  const root = join(folder.path, 'root')
  for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'sbin', 'usr/bin', 'var/lib', 'etc'])
    mkdirSync(join(root, name), { recursive: true })
  copyModules(parts.kernel, root)
  const put = (inside: string, here: string): void => {
    mkdirSync(dirname(join(root, inside)), { recursive: true })
    cpSync(here, join(root, inside), { dereference: true })
  }
  put('bin/busybox', parts.busybox)
  symlinkSync('../bin/busybox', join(root, 'sbin/modprobe'))
  put('bin/node', parts.node)
  for (const [inside, here] of Object.entries(parts.libraries)) put(inside, here)
  put('opt/dewar/package.json', join(PROJECT, 'package.json'))
  put('opt/dewar/native/build/dewar-core', parts.core)
  await bundle('src/daemon/main.js', join(root, 'opt/dewar/dist/src/daemon/main.js'))
  await bundle(`suites/machines/${module}`, join(root, 'opt/dewar/story.mjs'))
  image(join(folder.path, 'image'), parts, programs, join(root, 'image.tar'))
  if (alsoOutside) for (const [inside, here] of Object.entries(programs)) put(inside, here)
  writeFileSync(join(root, 'init'), INIT)
  chmodSync(join(root, 'init'), 0o755)
  const disk = join(folder.path, 'disk')
  execFileSync(findProgram('mke2fs') ?? 'mke2fs', [
    '-q',
    '-t',
    'ext4',
    '-O',
    '^has_journal',
    '-d',
    root,
    disk,
    '700M',
  ])
  const blank = join(folder.path, 'blank')
  writeFileSync(blank, new Uint8Array(64 << 20))
  const disks = [disk, blank]
  return await run(parts, { disks, acpi, append, timeout: timeoutMs })
}

function copyModules(kernel: string, root: string): void {
  const modules = join(kernel, 'lib/modules')
  const [version = ''] = readdirSync(modules)
  const inside = join(root, 'lib/modules', version)
  for (const name of MODULES)
    cpSync(join(modules, version, 'kernel', name), join(inside, 'kernel', name), { recursive: true })
  for (const name of ['modules.builtin', 'modules.order'])
    cpSync(join(modules, version, name), join(inside, name))
  execFileSync('/bin/busybox', ['depmod', '-b', root, version])
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
  for (const name of ['bin', 'tmp', 'proc', 'dev', 'sys', 'etc'])
    mkdirSync(join(folder, name), { recursive: true })
  cpSync(parts.busybox, join(folder, 'bin/busybox'), { dereference: true })
  const applets = ['sh', 'sleep', 'cat', 'tail', 'mknod', 'mount', 'dd', 'grep', 'echo', 'nproc', 'uname']
  for (const name of [...applets, 'ls', 'readlink', 'id', 'time', 'head', 'true', 'ping'])
    symlinkSync('busybox', join(folder, 'bin', name))
  for (const [inside, here] of Object.entries(programs)) cpSync(here, join(folder, inside))
  execFileSync('tar', ['-C', folder, '--owner=0', '--group=0', '-cf', archive, '.'])
}

interface Hardware {
  readonly disks: readonly string[]
  readonly acpi: string | undefined
  readonly append: string
  readonly timeout: number
}

/** Without the clock's settings one boot in five of an x86 machine hangs. */
function run(
  parts: Parts,
  { disks: [disk = '', blank = ''], acpi, append, timeout }: Hardware,
): Promise<string> {
  const [kernel = ''] = readdirSync(join(parts.kernel, 'boot')).filter((name) => name.startsWith('vmlinuz-'))
  const clock = 'tsc_early_khz=2000000 lpj=4000000 no_timer_check'
  const line = `console=${parts.console} quiet panic=-1 reboot=t root=/dev/nvme0n1 rw init=/init ${clock} cgroup_no_v1=all ${append}`
  const [program = '', ...machine] = parts.qemu
  const args = [
    ...machine,
    ...'-accel tcg -m 1024 -display none -monitor none -nic none -serial stdio -no-reboot'.split(' '),
    ...['-drive', `file=${disk},if=none,id=d,format=raw`, '-device', 'nvme,serial=d,drive=d,ioeventfd=off'],
    ...['-drive', `file=${blank},if=none,id=b,format=raw`, '-device', 'nvme,serial=b,drive=b,ioeventfd=off'],
    ...(acpi === undefined ? [] : ['-acpitable', `file=${acpi}`]),
    ...['-kernel', join(parts.kernel, 'boot', kernel), '-append', line],
  ]
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout, killSignal: 'SIGKILL' })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        if (process.env['DEWAR_TEST_CONSOLE'] !== undefined) process.stderr.write(chunk)
      })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0 && text.includes('== end')) resolve(text.replaceAll('\r', ''))
      else reject(new Error(`the machine ended with ${signal ?? code}:\n${text.slice(-6000)}`))
    })
  })
}

/** This machine's own programs, on Debian's kernel. */
export async function partsOfHost(): Promise<Parts | string> {
  if (process.arch !== 'x64') return 'the machine is written for x86-64'
  const kernel = await cloudKernel()
  if (typeof kernel === 'string') return kernel
  const listed = execFileSync('ldd', [process.execPath], { encoding: 'utf8' })
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => [path, path] as const)
  return {
    qemu: ['qemu-system-x86_64', '-M', 'pc', '-cpu', 'max'],
    console: 'ttyS0',
    kernel: kernel.folder,
    busybox: '/bin/busybox',
    node: process.execPath,
    libraries: Object.fromEntries(libraries),
    core: join(PROJECT, 'native/build/dewar-core'),
  }
}
