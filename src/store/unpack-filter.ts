import { DewarError } from '../base/errors.ts'
import { machineArch } from '../kernel/seccomp.ts'
import { unpackFilter as filterFor } from '../kernel/seccomp-unpack.ts'

/** The system call filter of this machine's unpackers. Throws unavailable rather than let one run without it. */
export function unpackFilter(): Uint8Array {
  const arch = machineArch(process.arch)
  if (arch !== undefined) return filterFor(arch).filter
  throw new DewarError(
    'unavailable',
    `Unpacking failed: no system call filter is known for ${process.arch} machines`,
    {
      remedy: 'use an x86-64 or arm64 machine',
    },
  )
}
