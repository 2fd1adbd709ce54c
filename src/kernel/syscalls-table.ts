/** System call numbers by architecture, from the generated syscalls-*.ts. */
import arm from './syscalls-arm.ts'
import arm64 from './syscalls-arm64.ts'
import i386 from './syscalls-i386.ts'
import x32 from './syscalls-x32.ts'
import x86_64 from './syscalls-x86_64.ts'

/** A way into the kernel: a 64-bit machine answers to its own calls and to those of its 32-bit ancestors. */
export type SyscallArch = 'x86_64' | 'i386' | 'x32' | 'arm64' | 'arm'

const TEXT: Readonly<Record<SyscallArch, string>> = { x86_64, i386, x32, arm64, arm }
export const SYSCALL_ARCHES: readonly SyscallArch[] = ['x86_64', 'i386', 'x32', 'arm64', 'arm']
const parsed = new Map<SyscallArch, ReadonlyMap<string, number>>()

/**
 * Name → number. Read on first use: the five tables together cost a millisecond that most commands need not
 * pay.
 */
export function syscallNumbers(arch: SyscallArch): ReadonlyMap<string, number> {
  const known = parsed.get(arch)
  if (known !== undefined) return known
  const table = parseTable(TEXT[arch])
  parsed.set(arch, table)
  return table
}

function parseTable(text: string): ReadonlyMap<string, number> {
  const table = new Map<string, number>()
  let next = 0
  for (const word of text.trim().split(/\s+/)) {
    if (/^\d+$/.test(word)) next = Number(word)
    else if (word.startsWith('=')) table.set(word.slice(1), next - 1)
    else table.set(word, next++)
  }
  return table
}

/** Calls of architectures Dewar does not run on; profiles written for all of them name these. */
const FOREIGN = new Set([
  'riscv_flush_icache',
  'riscv_hwprobe',
  's390_guarded_storage',
  's390_pci_mmio_read',
  's390_pci_mmio_write',
  's390_runtime_instr',
  's390_sthyi',
  'spu_create',
  'spu_run',
  'subpage_prot',
  'swapcontext',
  'switch_endian',
  'sync_file_range2',
  'sys_debug_setcontext',
  'rtas',
  'multiplexer',
  'cachectl',
  'sysmips',
  'memory_ordering',
  'getpagesize',
  'kern_features',
  'utrap_install',
  'perfctr',
  'pciconfig_iobase',
  'pciconfig_read',
  'pciconfig_write',
  'syscall',
  'timerfd',
])

/** Whether any kernel is known to have a call of this name. */
export function isSyscallName(name: string): boolean {
  return FOREIGN.has(name) || SYSCALL_ARCHES.some((arch) => syscallNumbers(arch).has(name))
}
