/**
 * Boots this machine's kernel under QEMU's software emulation with a RAM disk of busybox and the given files.
 */
import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cloudKernel } from '../harness/debian-packages.ts'

const QEMU = '/usr/bin/qemu-system-x86_64'
const BUSYBOX = '/bin/busybox'

/** Debian's: the newest that is installed, or one unpacked beside the system; else why there is none. */
async function kernel(): Promise<{ readonly path: string } | string> {
  const installed = newestIn('/boot')
  if (installed !== undefined) return { path: installed }
  const unpacked = await cloudKernel()
  if (typeof unpacked === 'string') return unpacked
  const path = newestIn(join(unpacked.folder, 'boot'))
  return path === undefined ? `no kernel in ${unpacked.folder}` : { path }
}

function newestIn(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined
  const names = readdirSync(folder).filter((name) => /^vmlinuz-.*amd64$/.test(name))
  return names
    .toSorted()
    .map((name) => join(folder, name))
    .at(-1)
}

/** Why there can be no such machine here, or false. */
export async function noMachine(): Promise<string | false> {
  if (process.arch !== 'x64') return 'the machine is written for x86-64'
  if (!existsSync(QEMU)) return `${QEMU} is missing (apt-get install qemu-system-x86)`
  if (!existsSync(BUSYBOX)) return `${BUSYBOX} is missing (apt-get install busybox-static)`
  const found = await kernel()
  return typeof found === 'string' ? found : false
}

export interface Machine {
  /** Path inside → path here. */
  readonly files: Readonly<Record<string, string>>
  /** Run by busybox sh as the first process, after /proc, /sys and /dev are there. */
  readonly script: string
  /** Added to the kernel's command line. */
  readonly append: string
  readonly timeoutMs: number
  /** MiB; 512 when not given. */
  readonly memory?: number
}

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
sh /script 2>&1
reboot -f
`

/** Resolves with what the script wrote to the serial console. */
export async function runMachine({
  files,
  script,
  append,
  timeoutMs,
  memory = 512,
}: Machine): Promise<string> {
  const booted = await kernel()
  if (typeof booted === 'string') throw new Error(`booting a machine: ${booted}`)
  const folder = mkdtempSync(join(tmpdir(), 'dewar-vm-'))
  try {
    const disk = ramDisk(folder, { ...files }, script)
    // Without these the kernel measures the clock against an emulated timer, and one boot in five hangs in
    // that.
    const clock = 'tsc_early_khz=2000000 lpj=4000000 no_timer_check'
    const line = `console=ttyS0 quiet panic=-1 reboot=t rdinit=/init ${clock} ${append}`
    // A blank NVMe disk, 259:0: Debian's cloud kernel has that driver built in.
    const blank = join(folder, 'blank')
    writeFileSync(blank, new Uint8Array(8 << 20))
    const args = [
      '-drive',
      `file=${blank},if=none,id=blank,format=raw`,
      '-device',
      'nvme,serial=blank,drive=blank',
      '-M',
      'pc',
      '-accel',
      'tcg',
      '-cpu',
      'max',
      '-m',
      String(memory),
      '-display',
      'none',
      '-monitor',
      'none',
      '-nic',
      'none',
      '-serial',
      'stdio',
      '-no-reboot',
      '-kernel',
      booted.path,
      '-initrd',
      disk,
      '-append',
      line,
    ]
    return await output(args, timeoutMs)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function output(args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(QEMU, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(text.replaceAll('\r', ''))
      else reject(new Error(`the machine ended with ${signal ?? code}:\n${text.slice(-3000)}`))
    })
  })
}

function ramDisk(folder: string, files: Record<string, string>, script: string): string {
  const root = join(folder, 'root')
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp']) mkdirSync(join(root, name), { recursive: true })
  for (const [inside, here] of Object.entries({ ...files, '/bin/busybox': BUSYBOX })) {
    mkdirSync(dirname(join(root, inside)), { recursive: true })
    copyFileSync(here, join(root, inside))
  }
  writeFileSync(join(root, 'init'), INIT, { mode: 0o755 })
  writeFileSync(join(root, 'script'), script)
  const names = execFileSync('find', ['.'], { cwd: root, encoding: 'utf8' })
  const archive = execFileSync(BUSYBOX, ['cpio', '-o', '-H', 'newc'], {
    cwd: root,
    input: names,
    maxBuffer: 1 << 28,
    stdio: 'pipe',
  })
  const disk = join(folder, 'disk')
  // Not compressed: the emulated machine would take longer to unpack it than this one takes to read it.
  writeFileSync(disk, archive)
  return disk
}

/** The part of the output between `== NAME` and the next such line. */
export function section(text: string, name: string): string {
  const [, after = ''] = text.split(`== ${name}\n`, 2)
  return after.split(/^== /m, 1)[0] ?? ''
}
