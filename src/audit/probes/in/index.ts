/** What a container sees of its host and reaches there. */
import type { Probe } from '../../probe.ts'
import { internalDns } from './dns-egress.ts'
import { engineBinary } from './engine-binary.ts'
import { ENGINE_TRAPS } from './engine-traps.ts'
import { environment } from './environment.ts'
import { HOST_ACTIVITY } from './host-activity.ts'
import { HOST_MOUNTS } from './host-mounts.ts'
import { KERNEL_SURFACE } from './kernel-surface.ts'
import { LAYOUT } from './layout.ts'
import { LIMITS } from './limits.ts'
import { meters } from './meters.ts'
import { PLANTED } from './planted.ts'
import { PRIVILEGES } from './privileges.ts'
import { REACH } from './reach.ts'
import { SAME_AS_HOST } from './same-as-host.ts'

export const IN_PROBES: readonly Probe[] = [
  ...ENGINE_TRAPS,
  engineBinary,
  ...HOST_MOUNTS,
  ...REACH,
  internalDns,
  ...PRIVILEGES,
  ...KERNEL_SURFACE,
  ...PLANTED,
  environment,
  ...SAME_AS_HOST,
  ...LIMITS,
  ...HOST_ACTIVITY,
  ...LAYOUT,
  meters,
]
