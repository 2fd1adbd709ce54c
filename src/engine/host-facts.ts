/** What the host is like, as far as specs and refusals depend on it. Read once when the engine opens. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { cpus, hostname, totalmem } from 'node:os'

export interface HostFacts {
  readonly hostname: string
  readonly cpus: number
  /** Kernel lists such as "0-3". */
  readonly onlineCpus: string
  readonly onlineMems: string
  /** Bytes. */
  readonly memory: number
  /** Highest capability bit the kernel knows. */
  readonly lastCapability: number
  /** Whether clocks can be namespaced (/proc/self/ns/time, 5.6). */
  readonly timeNamespaces: boolean
  /** Whether the host has POSIX message queues mounted, which `--ipc=host` shares. */
  readonly messageQueues: boolean
  /** The engine's own, which what it starts would inherit: a unit may protect the engine, and its containers are not. */
  readonly oomScoreAdj: number
}

export async function readHostFacts(): Promise<HostFacts> {
  const [onlineCpus, onlineMems, last, time, oomScoreAdj] = await Promise.all([
    text('/sys/devices/system/cpu/online', `0-${Math.max(cpus().length, 1) - 1}`),
    text('/sys/devices/system/node/online', '0'),
    text('/proc/sys/kernel/cap_last_cap', '40'),
    text('/proc/self/timens_offsets', ''),
    text('/proc/self/oom_score_adj', '0'),
  ])
  return {
    hostname: hostname(),
    cpus: Math.max(cpus().length, 1),
    onlineCpus,
    onlineMems,
    memory: totalmem(),
    lastCapability: Number(last),
    timeNamespaces: time !== '',
    messageQueues: existsSync('/dev/mqueue'),
    oomScoreAdj: Number(oomScoreAdj),
  }
}

async function text(path: string, otherwise: string): Promise<string> {
  return readFile(path, 'utf8').then(
    (content) => content.trim(),
    () => otherwise,
  )
}
