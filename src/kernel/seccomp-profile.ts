/**
 * Docker's profile format (`--security-opt seccomp=FILE`) and the specification's, which it extends: read
 * once, checked, and resolved against the container's capabilities, the machine and the kernel.
 */
import { constants } from 'node:os'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { OciSeccomp } from './oci.ts'
import type { MachineArch } from './seccomp-compile.ts'

/** What decides whether a conditional rule counts. */
export interface SeccompContext {
  readonly arch: MachineArch
  /** The bounding set, names such as CAP_SYS_ADMIN. */
  readonly capabilities: readonly string[]
  /** `uname -r`, such as 6.1.0-13-amd64. */
  readonly kernel: string
}

type RuleArgs = NonNullable<OciSeccomp['syscalls'][number]['args']>

export interface ProfileFilter {
  readonly caps?: readonly string[]
  /** Go's names: amd64, arm64. */
  readonly arches?: readonly string[]
  /** "4.8" */
  readonly minKernel?: string
}

export interface ProfileRule {
  /** Why; Docker's `comment`. */
  readonly reason?: string
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: RuleArgs
  readonly includes?: ProfileFilter
  readonly excludes?: ProfileFilter
}

export interface Profile {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  /** Either of these two; neither means the machine's own architecture only. */
  readonly archMap?: readonly {
    readonly architecture: string
    readonly subArchitectures: readonly string[]
  }[]
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly syscalls: readonly ProfileRule[]
}

const GO_ARCH: Readonly<Record<MachineArch, string>> = { x86_64: 'amd64', arm64: 'arm64' }
const OCI_ARCH: Readonly<Record<MachineArch, string>> = {
  x86_64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
}

/** Drops the rules that do not count here and the conditions of those that do. */
export function resolveProfile(profile: Profile, context: SeccompContext): OciSeccomp {
  const family = profile.archMap?.find((entry) => entry.architecture === OCI_ARCH[context.arch])
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet !== undefined && { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: profile.architectures ?? (family ? [family.architecture, ...family.subArchitectures] : []),
    ...(profile.flags !== undefined && { flags: profile.flags }),
    syscalls: profile.syscalls
      .filter((rule) => counts(rule, context))
      .map(({ names, action, errnoRet, args }) => ({
        names,
        action,
        ...(errnoRet !== undefined && { errnoRet }),
        ...(args !== undefined && { args }),
      })),
  }
}

/** As Docker: `includes` counts when all of it holds, `excludes` when any of it does. */
function counts(
  { includes, excludes }: ProfileRule,
  { arch, capabilities, kernel }: SeccompContext,
): boolean {
  const hasCap = (cap: string) => capabilities.includes(cap)
  const out =
    excludes?.arches?.includes(GO_ARCH[arch]) === true ||
    excludes?.caps?.some(hasCap) === true ||
    (excludes?.minKernel !== undefined && atLeast(kernel, excludes.minKernel))
  if (out) return false
  if (
    includes?.arches !== undefined &&
    includes.arches.length > 0 &&
    !includes.arches.includes(GO_ARCH[arch])
  )
    return false
  if (includes?.caps?.every(hasCap) === false) return false
  return includes?.minKernel === undefined || atLeast(kernel, includes.minKernel)
}

/** Kernel and major revision only, as Docker: 4.8-rc5 is 4.8. */
function atLeast(kernel: string, wanted: string): boolean {
  const [[major, minor], [wantedMajor, wantedMinor]] = [version(kernel), version(wanted)]
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

function version(text: string): [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(text)
  if (match !== null) return [Number(match[1]), Number(match[2])]
  throw new DewarError(
    'invalid-argument',
    `Reading the kernel version ${JSON.stringify(text)}: it has no two numbers`,
  )
}

const ERRNOS = new Map<string, number>(Object.entries(constants.errno))
const word = z.string().min(1)
const words = z.array(word)
const errnoRet = z.int().min(0).max(0xffff)
/** podman writes the name beside the number. */
const errnoName = z.string().refine((name) => ERRNOS.has(name), 'no such errno')
/** JSON numbers above 2^53 lose digits, so `exactNumbers` has put them into strings. */
const uint64 = z
  .union([z.int().min(0), z.string().regex(/^\d{1,20}$/)])
  .transform(BigInt)
  .refine((value) => value < 1n << 64n, 'more than 64 bits')
const optional = <T extends z.ZodType>(type: T) => type.nullish().transform((value) => value ?? undefined)

const filterSchema = z.strictObject({
  caps: optional(words),
  arches: optional(words),
  minKernel: optional(
    z.string().regex(/^(0|[1-9]\d{0,2})\.\d{1,3}$/, 'expected "<kernel>.<major>", such as "4.8"'),
  ),
})

const argSchema = z.strictObject({
  index: z.int().min(0).max(5),
  value: optional(uint64),
  valueTwo: optional(uint64),
  op: word,
})

const ruleSchema = z.strictObject({
  name: optional(z.string()),
  names: optional(words),
  action: word,
  errnoRet: optional(errnoRet),
  errno: optional(errnoName),
  args: optional(z.array(argSchema)),
  comment: optional(z.string()),
  includes: optional(filterSchema),
  excludes: optional(filterSchema),
})

const profileSchema = z.strictObject({
  $schema: z.unknown().optional(),
  comment: z.unknown().optional(),
  defaultAction: word,
  defaultErrnoRet: optional(errnoRet),
  defaultErrno: optional(errnoName),
  architectures: optional(words),
  archMap: optional(z.array(z.strictObject({ architecture: word, subArchitectures: optional(words) }))),
  flags: optional(words),
  syscalls: optional(z.array(ruleSchema)),
})

/**
 * Reads a profile. Throws invalid-argument that says where the fault is. Stricter than Docker in one way: a
 * key it does not know is refused, because a misspelt `includes` would make a conditional rule hold always.
 */
export function parseProfile(json: string): Profile {
  const read = profileSchema.safeParse(exactNumbers(json))
  if (!read.success) {
    const [issue] = read.error.issues
    const where = issue?.path.join('.') ?? ''
    throw refusal(`${where === '' ? '' : `${where}: `}${issue?.message ?? 'not a profile'}`)
  }
  const { defaultAction, defaultErrno, architectures, archMap, flags, syscalls } = read.data
  const defaultErrnoRet = read.data.defaultErrnoRet ?? ERRNOS.get(defaultErrno ?? '')
  if (
    architectures !== undefined &&
    architectures.length > 0 &&
    archMap !== undefined &&
    archMap.length > 0
  ) {
    throw refusal("use either 'architectures' or 'archMap'")
  }
  return {
    defaultAction,
    ...(defaultErrnoRet !== undefined && { defaultErrnoRet }),
    ...(architectures !== undefined && architectures.length > 0 && { architectures }),
    ...(archMap !== undefined && {
      archMap: archMap.map((entry) => ({ ...entry, subArchitectures: entry.subArchitectures ?? [] })),
    }),
    ...(flags !== undefined && { flags }),
    syscalls: (syscalls ?? []).map(toRule),
  }
}

function toRule(rule: z.infer<typeof ruleSchema>, position: number): ProfileRule {
  const { name, names, action, args, includes, excludes, comment } = rule
  if (name && names && names.length > 0) throw refusal(`syscalls.${position}: use either 'name' or 'names'`)
  const errno = rule.errnoRet ?? ERRNOS.get(rule.errno ?? '')
  return {
    names: name ? [name] : (names ?? []),
    action,
    ...(comment !== undefined && { reason: comment }),
    ...(errno !== undefined && { errnoRet: errno }),
    ...(args !== undefined && {
      args: args.map(({ index, op, value, valueTwo }) => ({
        index,
        op,
        value: value ?? 0n,
        valueTwo: valueTwo ?? 0n,
      })),
    }),
    ...(includes !== undefined && { includes: toFilter(includes) }),
    ...(excludes !== undefined && { excludes: toFilter(excludes) }),
  }
}

const toFilter = ({ caps, arches, minKernel }: z.infer<typeof filterSchema>): ProfileFilter => ({
  ...(caps !== undefined && { caps }),
  ...(arches !== undefined && { arches }),
  ...(minKernel !== undefined && { minKernel }),
})

function exactNumbers(json: string): unknown {
  try {
    return JSON.parse(json.replace(/("value(?:Two)?"\s*:\s*)(\d{16,})(?=\s*[,}])/g, '$1"$2"'))
  } catch (cause) {
    throw refusal('it is not JSON', cause)
  }
}

const refusal = (what: string, cause?: unknown): DewarError =>
  new DewarError('invalid-argument', `Decoding seccomp profile failed: ${what}`, {
    cause,
    remedy: "the format is that of Docker's default.json; seccomp=unconfined switches the filter off",
  })
