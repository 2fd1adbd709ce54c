/** What the probes that look from inside share: how they are described, and how they read on both sides. */
import { readFile } from 'node:fs/promises'
import { release, version } from 'node:os'
import { GuestError } from '../../guest-error.ts'
import type { Guest } from '../../guest-types.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Control } from '../../types.ts'
import type { Finding } from '../../verdict.ts'

type Given = Pick<Probe, 'id' | 'slug' | 'asset' | 'question' | 'method' | 'references' | 'remedy'> &
  Partial<Pick<Probe, 'readOnly' | 'interference' | 'timeout'>>

/** A probe that only looks, from inside. */
export function insideProbe(given: Given, run: (context: ProbeContext) => Promise<Finding>): Probe {
  return { direction: 'in', observers: ['guest'], interference: 'none', readOnly: true, ...given, run }
}

/** With a guest in the subject that is judged. */
export function lookingProbe(
  given: Given,
  look: (guest: Guest, context: ProbeContext) => Promise<Finding>,
): Probe {
  return insideProbe(given, async (context) => look(await context.guest(await context.subject()), context))
}

/** The name of the error instead of the content. */
export type Content = { readonly bytes: Buffer } | { readonly error: string }

export async function contentInside(guest: Guest, path: string, limit = 1 << 18): Promise<Content> {
  try {
    return { bytes: await guest.readFile(path, limit) }
  } catch (error) {
    if (error instanceof GuestError && !['GONE', 'TIMEOUT', 'EPROTO'].includes(error.error))
      return { error: error.error }
    throw error
  }
}

/** Empty when it cannot be read. */
export async function textInside(guest: Guest, path: string): Promise<string> {
  const content = await contentInside(guest, path)
  return 'bytes' in content ? content.bytes.toString('latin1') : ''
}

/** Empty when it cannot be read. */
export async function textOnHost(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '')
}

/** Names in a folder inside; none when it cannot be listed. */
export async function namesInside(guest: Guest, path: string): Promise<readonly string[]> {
  try {
    return (await guest.listFolder(path)).map(({ name }) => name)
  } catch (error) {
    if (error instanceof GuestError && !['GONE', 'TIMEOUT', 'EPROTO'].includes(error.error)) return []
    throw error
  }
}

/** The observer inside is able to see: it answers, and reads what each process may read. */
export async function sees(guest: Guest): Promise<Control> {
  const own = await contentInside(guest, '/proc/self/stat')
  const held = 'bytes' in own ? own.bytes.length > 0 : (await guest.syscall('getpid')).value > 0n
  return { what: 'the program inside runs and can read', held }
}

export interface Kernel {
  /** Release and version, as uname(2) says them inside. */
  readonly name: string
  /** It says what the host's says: the guest's system calls reach the host's kernel. */
  readonly shared: boolean
}

export async function kernelOf(guest: Guest): Promise<Kernel> {
  const { out } = await guest.syscall('uname', { out: 390 })
  const field = (index: number): string => {
    const text = (out[0] ?? Buffer.alloc(0)).subarray(index * 65, (index + 1) * 65).toString('latin1')
    return text.slice(0, Math.max(0, text.indexOf('\0')))
  }
  return {
    name: `${field(2)} ${field(3)}`,
    shared: field(2) === release() && field(3) === version(),
  }
}

/** `shared` short enough for a line of evidence. */
export function short(text: string, most = 120): string {
  const line = text.trim().replaceAll(/\s+/g, ' ')
  return line.length <= most ? line : `${line.slice(0, most)}…`
}
