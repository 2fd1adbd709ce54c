/**
 * The program inside a container that somebody else made and uses, of any engine: it joins the container's namespaces
 * from the host, as a sealed file in memory, with the user and the capabilities of the container's first process. Nothing
 * is written into the container and none of its processes is stopped.
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { DewarError } from '../base/errors.ts'
import { processOfChild } from './guest-process.ts'
import type { GuestProcess } from './guest-types.ts'

/**
 * What a joined program lacks of the container: its seccomp filter (it can be read only by stopping a process), its
 * security labels, its control group (it would count against its limits). Probes of these are INCONCLUSIVE there, which
 * is why they are not `readOnly`.
 */
export const NOT_JOINED = ['seccomp filter', 'security label', 'control group'] as const

/** `pid`: host's number of the container's first process. `program`: path of the static program. */
export async function joinContainer(pid: number, program: string): Promise<GuestProcess> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  if (status === '')
    throw new DewarError('not-found', `joining the container of process ${pid} failed: it does not run`, {
      remedy: 'start it',
    })
  const words = [
    ...[
      String(pid),
      insideId(status, 'uid', await mapOf(pid, 'uid')),
      insideId(status, 'gid', await mapOf(pid, 'gid')),
    ],
    ...[field(status, 'CapEff'), field(status, 'CapBnd'), field(status, 'NoNewPrivs') || '0'],
  ]
  return processOfChild(spawn(program, ['audit-join', ...words], { stdio: 'pipe', cwd: '/' }))
}

function field(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
}

function mapOf(pid: number, kind: 'uid' | 'gid'): Promise<string> {
  return readFile(`/proc/${pid}/${kind}_map`, 'utf8')
}

/** The effective id as it is in the container's user namespace. */
export function insideId(status: string, kind: 'uid' | 'gid', map: string): string {
  const name = kind === 'uid' ? 'Uid' : 'Gid'
  const outside = Number(new RegExp(`^${name}:\\s*\\d+\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  for (const line of map.trim().split('\n')) {
    const [inner = 0, outer = 0, count = 0] = line.trim().split(/\s+/).map(Number)
    if (outside >= outer && outside < outer + count) return String(inner + outside - outer)
  }
  return String(outside)
}
