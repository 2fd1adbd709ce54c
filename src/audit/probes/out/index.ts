import type { Probe } from '../../probe.ts'
import { afterExitFiles, afterExitKernel } from './after-exit.ts'
import { diskThief, fileContent, logAtRest, metadata } from './at-rest.ts'
import { buildSecret } from './build.ts'
import { fileName } from './file-name.ts'
import { namespaceEnter, openFiles, rootWalk } from './live-state.ts'
import { memoryRead } from './memory.ts'
import { dnsNames, hostSniff, neighbourSniff, netMetadata } from './network.ts'
import { argvCmdline, envEnviron, processNames } from './processes.ts'
import { afterRemoval, rawDeleted, rawLive } from './raw-disk.ts'
import { traceExec } from './trace.ts'
import { unprivilegedApi, unprivilegedProcesses, unprivilegedStorage } from './unprivileged.ts'

/** In the catalogue's order of importance. */
export const OUT_PROBES: readonly Probe[] = [
  fileName,
  argvCmdline,
  envEnviron,
  fileContent,
  metadata,
  memoryRead,
  afterRemoval,
  diskThief,
  processNames,
  namespaceEnter,
  rootWalk,
  logAtRest,
  hostSniff,
  neighbourSniff,
  unprivilegedStorage,
  unprivilegedProcesses,
  unprivilegedApi,
  rawLive,
  rawDeleted,
  afterExitFiles,
  afterExitKernel,
  traceExec,
  openFiles,
  buildSecret,
  netMetadata,
  dnsNames,
]
