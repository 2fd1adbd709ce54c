import type { Canary } from './canary.ts'
import type { Guest } from './guest-types.ts'
import type { Subject } from './target.ts'

export const ASSETS = [
  'file-name',
  'file-content',
  'deleted-file',
  'tmpfs',
  'argv',
  'env',
  'hostname',
  'label',
  'log',
  'memory',
  'process-name',
] as const

export type Asset = (typeof ASSETS)[number]

/** One container of a target with a canary in every asset: what most `out` probes look for. */
export interface World {
  readonly subject: Subject
  readonly guest: Guest
  readonly canary: (asset: Asset) => Canary
  /** Paths inside. */
  readonly paths: {
    readonly folder: string
    /** Its name is the canary `file-name`, its content the canary `file-content`. */
    readonly file: string
    readonly tmpfs: string
  }
}
