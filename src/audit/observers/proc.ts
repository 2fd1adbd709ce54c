/** `cat /proc/PID/…` over all processes of the host, the auditor's own left out. */
import { readFile } from 'node:fs/promises'
import type { Canary } from '../canary.ts'
import { auditorPids, listPids, listProcesses } from '../processes.ts'
import type { Evidence } from '../types.ts'

export interface ProcHit {
  readonly pid: number
  readonly canary: Canary
}

/** Which processes show which canary in this file of theirs. */
export async function searchProc(
  file: 'cmdline' | 'environ' | 'comm',
  canaries: readonly Canary[],
): Promise<readonly ProcHit[]> {
  const hits = await Promise.all(
    (await foreignPids()).map(async (pid) => {
      const bytes = await readFile(`/proc/${pid}/${file}`).catch(() => Buffer.alloc(0))
      return canaries.filter((canary) => bytes.includes(canary.bytes)).map((canary) => ({ pid, canary }))
    }),
  )
  return hits.flat()
}

/** All but the auditor and what it started for itself; control processes are its children and are wanted. */
async function foreignPids(): Promise<readonly number[]> {
  const all = await listProcesses()
  const ours = await auditorPids(all)
  const controls = all.filter(({ argv }) => argv.length === 1).map(({ pid }) => pid)
  return (await listPids()).filter((pid) => !ours.has(pid) || controls.includes(pid))
}

export function processEvidence(hits: readonly ProcHit[], file: string): readonly Evidence[] {
  return hits.map(({ pid }) => ({ kind: 'process', text: `/proc/${pid}/${file}` }))
}
