/** The catalogue: every probe there is, in the order of importance within its direction. */
import type { Probe } from '../probe.ts'
import { ACROSS_PROBES } from './across/index.ts'
import { IN_PROBES } from './in/index.ts'
import { OUT_PROBES } from './out/index.ts'

export const PROBES: readonly Probe[] = [...OUT_PROBES, ...IN_PROBES, ...ACROSS_PROBES]
