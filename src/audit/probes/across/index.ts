import type { Probe } from '../../probe.ts'
import { auditFlood, coreHelper } from './accounting.ts'
import { dentryFlood, pageCache } from './caches.ts'
import { sharedInode, signals, timeLock } from './kernel.ts'
import { logFlood } from './log-flood.ts'
import { mergedPages } from './merged-pages.ts'
import { receiveFlood, sendFlood, softirqTime } from './network-flood.ts'
import { arpSpoof, conntrack, discovery } from './network.ts'
import { cpuHog, startStarve } from './processor.ts'
import { descriptors, forkBomb, memoryHog } from './resources.ts'
import { diskFill, diskInodes } from './storage-room.ts'
import { writeFlood } from './storage-speed.ts'
import { syncStorm } from './sync-storm.ts'
import { inotifyQuota } from './user-quota.ts'
import { dirtyThrottle } from './write-back.ts'

/** In the catalogue's order of importance. */
export const ACROSS_PROBES: readonly Probe[] = [
  sharedInode,
  memoryHog,
  forkBomb,
  cpuHog,
  timeLock,
  diskFill,
  diskInodes,
  writeFlood,
  conntrack,
  descriptors,
  pageCache,
  dentryFlood,
  sendFlood,
  receiveFlood,
  softirqTime,
  syncStorm,
  coreHelper,
  logFlood,
  auditFlood,
  dirtyThrottle,
  inotifyQuota,
  arpSpoof,
  discovery,
  signals,
  startStarve,
  mergedPages,
]
