/**
 * An emulated machine with a RAM disk of busybox and the given files.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CLOCK, emulate, type Kernel } from '../harness/emulated-machine.ts'

const QEMU = ['qemu-system-x86_64', '-M', 'pc', '-cpu', 'max']
const BUSYBOX = '/bin/busybox'

export interface Machine {
  /** Path inside → path here. */
  readonly files: Readonly<Record<string, string>>
  /** Run by busybox sh as the first process, after /proc, /sys and /dev are there. */
  readonly script: string
  /** Added to the kernel's command line. */
  readonly append: string
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
export async function runMachine(
  kernel: Kernel,
  { files, script, append, memory = 512 }: Machine,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'dewar-vm-'))
  try {
    const disk = ramDisk(folder, { ...files }, script)
    const line = `console=ttyS0 quiet panic=-1 reboot=t rdinit=/init ${CLOCK} ${append}`
    // A blank NVMe disk, 259:0: Debian's cloud kernel has that driver built in.
    const blank = join(folder, 'blank')
    writeFileSync(blank, new Uint8Array(8 << 20))
    const drive = [
      '-drive',
      `file=${blank},if=none,id=blank,format=raw`,
      '-device',
      'nvme,serial=blank,drive=blank',
    ]
    const boot = ['-kernel', kernel.vmlinuz, '-initrd', disk, '-append', line]
    return await emulate(QEMU, ['-m', String(memory), ...drive, ...boot])
  } finally {
    rmSync(folder, { recursive: true })
  }
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
