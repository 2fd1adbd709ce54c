/** `info`: what the engine and its machine are. */
import { readdirSync, readFileSync } from 'node:fs'
import { arch, release, totalmem } from 'node:os'
import { createHash } from 'node:crypto'
import { forwardWarnings } from '../network/reconcile.ts'
import type { Services } from './services.ts'
import type { SystemInfo } from './types.ts'
import { statusOf } from './view.ts'

export async function systemInfo(
  services: Services,
  images: number,
  warnings: readonly string[],
): Promise<SystemInfo> {
  const { settings, facts, cgroups, bus, levels, core } = services
  const statuses = [...services.containers.values()].map(statusOf)
  const count = (...wanted: readonly string[]): number =>
    statuses.filter((status) => wanted.includes(status)).length
  const os = osRelease()
  const running = count('running', 'restarting')
  const paused = count('paused')
  return {
    id: createHash('sha256').update(`${settings.root} ${facts.hostname}`).digest('hex').slice(0, 32),
    name: facts.hostname,
    root: settings.root,
    containers: statuses.length,
    running,
    paused,
    stopped: statuses.length - running - paused,
    images,
    kernelVersion: release(),
    operatingSystem: os['PRETTY_NAME'] ?? 'Linux',
    osVersion: os['VERSION_ID'] ?? '',
    architecture: arch() === 'arm64' ? 'aarch64' : 'x86_64',
    cpus: facts.cpus,
    memory: totalmem(),
    cgroupDriver: 'cgroupfs',
    cgroupVersion: cgroups.mode === 'v2' ? '2' : '1',
    levels: await levels.info(),
    warnings: [...warnings, ...(await forwardWarnings(core, settings.bridge).catch(() => []))],
    registryMirrors: settings.registryMirrors,
    insecureRegistries: settings.insecureRegistries,
    goroutines: 1,
    fileDescriptors: readdirSync('/proc/self/fd').length,
    eventListeners: bus.listeners,
  }
}

function osRelease(): Record<string, string> {
  try {
    const lines = readFileSync('/etc/os-release', 'utf8').split('\n')
    return Object.fromEntries(
      lines.flatMap((line) =>
        line.includes('=')
          ? [[line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replace(/^"|"$/g, '')]]
          : [],
      ),
    )
  } catch {
    return {}
  }
}
