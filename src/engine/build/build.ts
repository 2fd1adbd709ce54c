/** What the steps of one build share. */
import { join } from 'node:path'
import type { Digest } from '../../store/digest.ts'
import type { Sandbox } from '../../store/unpack.ts'
import type { BuildRequest } from '../build-types.ts'
import type { BaseImage, ImageSteps } from '../images-step.ts'
import type { Services } from '../services.ts'
import type { Containers, Images } from '../types.ts'
import type { BuildArgs } from './build-args.ts'
import type { Context } from './context.ts'
import type { Output } from './output.ts'

/** What every step has at hand. */
export interface Build {
  readonly services: Services
  readonly containers: Containers
  readonly images: Pick<Images, 'pull'>
  readonly steps: ImageSteps
  readonly sandbox: Sandbox
  readonly request: BuildRequest
  readonly context: Context
  readonly escape: string
  readonly args: BuildArgs
  /** Ours, for what comes by while building. */
  readonly folder: string
  /** A name for each container of this build. */
  readonly stepName: () => string
  readonly out: Output
  readonly signal: AbortSignal
  /** Stages that are complete. */
  readonly done: { readonly name: string; readonly imageId: Digest | undefined }[]
  /** How many stages there are. */
  readonly stages: number
  /** References that were resolved already: a build sees one image for each. */
  readonly resolved: Map<string, BaseImage>
  /** Milliseconds, when the client asks for a date (SOURCE_DATE_EPOCH). */
  readonly epoch: number | undefined
}

/** A file of our own. */
export function spoolOf(build: Build): string {
  return join(build.folder, `spool-${process.hrtime.bigint()}`)
}
