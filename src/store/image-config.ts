/** The two documents an image consists of besides its layers, read as leniently as Docker reads them. */
import { z } from 'zod'
import { DewarError, messageOf } from '../base/errors.ts'
import { digestSchema } from './digest.ts'

/** A field that says null means that it is not there: Go writes empty lists and maps so. */
const orNull = <T extends z.ZodType>(type: T) => type.nullish().transform((value) => value ?? undefined)
/** As Go's int64, which its clients read them as. */
const whole = orNull(
  z.number().refine((n) => Number.isInteger(n) && Math.abs(n) < 2 ** 63, 'not an integer of 64 bits'),
)
const strings = orNull(z.array(z.string()))
/** Keys with empty objects as values, Go's sets. */
const set = orNull(
  z.record(
    z.string(),
    z.unknown().transform(() => ({})),
  ),
)

/** Spelled as in the documents (Go's field names), unlike the rest of this code: it is kept as it came. */
const HEALTHCHECK = z.looseObject({
  Test: strings,
  Interval: whole,
  Timeout: whole,
  StartPeriod: whole,
  StartInterval: whole,
  Retries: whole,
})

const CONTAINER = z.looseObject({
  User: orNull(z.string()),
  ExposedPorts: set,
  Env: strings,
  Entrypoint: strings,
  Cmd: strings,
  Volumes: set,
  WorkingDir: orNull(z.string()),
  Labels: orNull(z.record(z.string(), z.string())),
  StopSignal: orNull(z.string()),
  Healthcheck: orNull(HEALTHCHECK),
  OnBuild: strings,
  Shell: strings,
  ArgsEscaped: orNull(z.boolean()),
})

const HISTORY = z.looseObject({
  created: orNull(z.string()),
  created_by: orNull(z.string()),
  author: orNull(z.string()),
  comment: orNull(z.string()),
  empty_layer: orNull(z.boolean()),
})

const IMAGE_CONFIG = z.looseObject({
  created: orNull(z.string()),
  author: orNull(z.string()),
  architecture: z.string().default(''),
  variant: orNull(z.string()),
  os: z.string().default(''),
  config: orNull(CONTAINER),
  rootfs: z.object({ type: z.string(), diff_ids: orNull(z.array(digestSchema)) }),
  history: orNull(z.array(HISTORY)),
  /** Docker's: of a committed image. */
  comment: orNull(z.string()),
})
export type ImageDocument = z.infer<typeof IMAGE_CONFIG>
export type ContainerDocument = z.infer<typeof CONTAINER>
export type HistoryDocument = z.infer<typeof HISTORY>

const DESCRIPTOR = z.looseObject({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
  platform: orNull(
    z.looseObject({
      architecture: z.string().default(''),
      os: z.string().default(''),
      variant: orNull(z.string()),
      'os.version': orNull(z.string()),
    }),
  ),
  annotations: orNull(z.record(z.string(), z.string())),
})
export type Descriptor = z.infer<typeof DESCRIPTOR>

const MANIFEST = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: orNull(z.string()),
  config: DESCRIPTOR,
  layers: z.array(DESCRIPTOR).max(2000),
})
export type Manifest = z.infer<typeof MANIFEST>

const INDEX = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: orNull(z.string()),
  manifests: z.array(DESCRIPTOR).max(10_000),
})
export type Index = z.infer<typeof INDEX>

export const MEDIA = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const

/**
 * Throws invalid-argument for a history that tells of more layers than there are, as moby's image store does: what is made
 * from such an image nobody else takes. Not asked of images that are here already.
 */
export function requireHistory({ history = [], rootfs }: ImageDocument, what: string): void {
  const layers = history.filter((step) => step.empty_layer !== true).length
  if (layers <= (rootfs.diff_ids ?? []).length) return
  throw bad(what, 'too many non-empty layers in History section')
}

export function parseImageConfig(data: Buffer, what: string): ImageDocument {
  const config = parse(IMAGE_CONFIG, data, what)
  if (config.rootfs.type !== 'layers')
    throw bad(what, `rootfs type ${JSON.stringify(config.rootfs.type)} is unknown`)
  return config
}

/** A manifest of one image, or an index of several. Old schema 1 manifests are refused, as by Docker. */
export function parseManifest(
  data: Buffer,
  what: string,
):
  | { readonly manifest: Manifest; readonly index?: undefined }
  | { readonly index: Index; readonly manifest?: undefined } {
  const json = parseJson(data, what)
  const fields: object = typeof json === 'object' && json !== null ? json : {}
  if ('schemaVersion' in fields && fields.schemaVersion === 1) {
    throw bad(what, 'Docker image manifest version 2, schema 1 is no longer supported')
  }
  // Both at once is how one document is made to mean two things (CVE-2021-41190).
  if ('manifests' in fields && ('config' in fields || 'layers' in fields)) {
    throw bad(what, 'it is both an index and a manifest')
  }
  if ('manifests' in fields) return { index: check(INDEX, json, what) }
  return { manifest: check(MANIFEST, json, what) }
}

function parse<T extends z.ZodType>(schema: T, data: Buffer, what: string): z.infer<T> {
  return check(schema, parseJson(data, what), what)
}

function parseJson(data: Buffer, what: string): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch (error) {
    throw bad(what, messageOf(error))
  }
}

function check<T extends z.ZodType>(schema: T, json: unknown, what: string): z.infer<T> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw bad(what, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`)
}

function bad(what: string, why: string): DewarError {
  return new DewarError('invalid-argument', `Reading ${what} failed: ${why}`, {
    remedy: 'the image is damaged or of a kind that is not supported',
  })
}
