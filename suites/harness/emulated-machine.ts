/** Machines under QEMU's software emulation. What they report comes by the serial console. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cloudKernel } from './debian-packages.ts'
import { missing } from './requirement.ts'

/** Beside twenty other jobs a boot takes ten times as long as alone; but what lives says something within this (ms). */
const SILENCE = 900_000
/**
 * In all: the tests' runner gives a file 65 minutes, and is not to be the one who has to end it. A first run also fetches a
 * kernel (12 minutes at most) and makes a Debian (15).
 */
const LONGEST = 2_100_000
/** Characters of the console that are told of a machine that failed. */
const TOLD = 6000

const ALWAYS = '-accel tcg -display none -monitor none -nic none -serial stdio -no-reboot'.split(' ')

/** Without these an x86 kernel measures the clock against an emulated timer, and one boot in five hangs in that. */
export const CLOCK = 'tsc_early_khz=2000000 lpj=4000000 no_timer_check'

/**
 * Resolves with what the machine wrote until it powered off; rejects with the end of that when it failed, fell silent or
 * took too long. DEWAR_TEST_CONSOLE=1 shows it meanwhile.
 */
export function emulate(qemu: readonly string[], args: readonly string[]): Promise<string> {
  // It ends with its test, however that ends.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...qemu, ...ALWAYS, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise((resolve, reject) => {
    let text = ''
    let why: string | undefined
    const giveUp = (reason: string) => (): void => {
      why = reason
      child.kill('SIGKILL')
    }
    const silent = setTimeout(giveUp(`said nothing for ${SILENCE / 60_000} minutes`), SILENCE)
    const late = setTimeout(giveUp(`was not done after ${LONGEST / 60_000} minutes`), LONGEST)
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        silent.refresh()
        text += chunk
        if (process.env['DEWAR_TEST_CONSOLE'] !== undefined) process.stderr.write(chunk)
      })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(silent)
      clearTimeout(late)
      if (code === 0) resolve(text.replaceAll('\r', ''))
      else reject(new Error(`the machine ${why ?? `ended with ${signal ?? code}`}:\n${text.slice(-TOLD)}`))
    })
  })
}

/** The part of the console's text between `== NAME` and the next such line. */
export function section(text: string, name: string): string {
  const [, after = ''] = text.split(`== ${name}\n`, 2)
  return after.split(/^== /m, 1)[0] ?? ''
}

/** Debian's cloud kernel, which has NVMe and ext4 built in. */
export interface Kernel {
  readonly vmlinuz: string
  /** Its modules: a folder with that of the version. */
  readonly modules: string
}

/** Of a folder with its package unpacked. */
export function kernelIn(folder: string): Kernel {
  const boot = join(folder, 'boot')
  const name = readdirSync(boot).find((file) => file.startsWith('vmlinuz-'))
  if (name === undefined) throw new Error(`no kernel in ${boot}: delete ${folder}, and it is fetched anew`)
  return { vmlinuz: join(boot, name), modules: join(folder, 'lib/modules') }
}

/** Of an emulated x86-64 machine, or why there can be none here. */
export async function machineKernel(): Promise<Kernel | string> {
  if (process.arch !== 'x64') return 'the machine is written for x86-64'
  const absent = missing('qemu-system-x86_64', 'busybox', 'setpriv')
  if (absent !== false) return absent
  const packages = await cloudKernel()
  return typeof packages === 'string' ? packages : kernelIn(packages.folder)
}
