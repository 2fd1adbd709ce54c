/** The catalogue: every probe there is, in the order of importance. */
import type { Probe } from '../probe.ts'
import { IN_PROBES } from './in/index.ts'
import { diskThief, fileContent, logAtRest, metadata } from './out/at-rest.ts'
import { fileName } from './out/file-name.ts'
import { namespaceEnter, openFiles, rootWalk } from './out/live-state.ts'
import { memoryRead } from './out/memory.ts'
import { argvCmdline, envEnviron, processNames } from './out/processes.ts'

export const PROBES: readonly Probe[] = [
  fileName,
  argvCmdline,
  envEnviron,
  fileContent,
  metadata,
  memoryRead,
  diskThief,
  processNames,
  namespaceEnter,
  rootWalk,
  logAtRest,
  openFiles,
  ...IN_PROBES,
]
