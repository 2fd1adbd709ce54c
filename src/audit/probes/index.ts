/** The catalogue: every probe there is, in the order of importance. */
import type { Probe } from '../probe.ts'
import { fileName } from './file-name.ts'

export const PROBES: readonly Probe[] = [fileName]
