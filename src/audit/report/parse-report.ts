/**
 * Reads a report that somebody kept (`--json`), for `diff`, `show` and `--policy`: the file may come from another
 * version or another hand, so it is checked whole before anything looks at it. docs/schemas/audit-report-1.json is made
 * from the same schema; a test holds it to this file and to types.ts.
 */
import { z } from 'zod'
import { DewarError, messageOf } from '../../base/errors.ts'
import { OBSERVERS, REPORT_SCHEMA, type Report } from '../types.ts'
import { DIRECTIONS, VERDICTS } from './words.ts'

const direction = z.enum(DIRECTIONS)
const verdict = z.enum(VERDICTS)
const words = z.array(z.string())
const milliseconds = z.number().min(0)

const probe = z.object({
  id: z.string().min(1).describe('As in the catalogue: O01, I25, A23.'),
  slug: z.string().describe('direction.asset.channel'),
  direction,
  asset: z.string(),
  observers: z.array(z.enum(OBSERVERS)),
  question: z.string().describe('Ends in a question mark; yes is a leak.'),
  method: z.string(),
  references: words.describe('CWE, CVE and MITRE ATT&CK ids.'),
  remedy: z.string(),
  interference: z.enum(['none', 'bounded', 'load']),
  readOnly: z.boolean().describe("Whether it can judge somebody else's running container."),
})

const result = z.object({
  target: z.string(),
  probe: z.string(),
  verdict,
  reason: z.string(),
  evidence: z.array(
    z.object({
      kind: z.enum(['path', 'process', 'device', 'packet', 'value', 'syscall', 'measurement']),
      text: z.string(),
    }),
  ),
  controls: z
    .array(z.object({ what: z.string(), held: z.boolean() }))
    .describe('Positive and negative; CONTAINED only when all held.'),
  duration: milliseconds.describe('ms'),
})

const target = z.object({
  name: z.string().min(1),
  kind: z.enum(['dewar', 'docker', 'podman', 'oci-runtime', 'container']),
  version: z.string(),
  level: z.string(),
  runArguments: words,
  missing: z
    .object({ reason: z.string(), remedy: z.string() })
    .exactOptional()
    .describe('Why it was not judged; absent when it was.'),
})

const discovery = z.object({
  target: z.string(),
  path: z.string(),
  kind: z.enum(['equal-value', 'equal-delta', 'host-driven']),
  sample: z.string(),
  known: words.describe("Probes that cover it; empty: nobody's list has it."),
})

const survey = z
  .object({
    target: z.string(),
    files: z.number().describe('Found inside below /proc and /sys.'),
    compared: z.number().describe('Of these readable on both sides, and judged.'),
    cut: z.boolean().describe('A limit ended the walk before everything was seen.'),
    blocked: words.describe('They did not answer in time and were left out.'),
    reference: z
      .string()
      .exactOptional()
      .describe('Kernel of the reference machine; absent: none was given.'),
    constant: z.number().exactOptional().describe('Equal values that the reference has too.'),
    failure: z.string().exactOptional().describe('Why it could not be carried out to the end.'),
  })
  .describe('How far the discoverer looked on a target.')

const report = z.object({
  schema: z.literal(REPORT_SCHEMA),
  dewar: z.string().describe("Dewar's version."),
  startedAt: z
    .string()
    .refine((text) => !Number.isNaN(Date.parse(text)), 'is no date')
    .describe('ISO 8601, UTC'),
  duration: milliseconds.describe('ms'),
  host: z.object({
    kernel: z.string(),
    cpus: z.number(),
    memory: z.number().describe('bytes'),
    cgroup: z.string(),
  }),
  targets: z.array(target),
  probes: z.array(probe),
  results: z.array(result),
  discoveries: z.array(discovery),
  surveys: z.array(survey).exactOptional(),
  leftovers: words.describe('What the audit could not remove again; empty on a good day.'),
})

/** Throws DewarError that names the file and the first thing wrong in it. */
export function parseReport(text: string, file: string): Report {
  const found = report.safeParse(readJson(text, file))
  if (!found.success) throw refusal(file, found.error)
  checkReferences(found.data, file)
  return found.data
}

/** What docs/schemas/audit-report-1.json holds. */
export function reportJsonSchema(): object {
  return {
    $id: REPORT_SCHEMA,
    title: 'Report of dewar audit',
    description:
      'Fields may be added within version 1; none is removed or changes its meaning. docs/AUDIT.md explains them.',
    ...z.toJSONSchema(report, { io: 'input' }),
  }
}

function readJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DewarError('invalid-argument', `reading ${file}: it is no JSON: ${messageOf(error)}`, {
      remedy: 'it must be what `dewar audit --json` wrote',
    })
  }
}

function refusal(file: string, error: z.ZodError): DewarError {
  const [issue] = error.issues
  const place = issue === undefined || issue.path.length === 0 ? 'the whole' : issue.path.join('.')
  const remedy = 'it must be what `dewar audit --json` of a version that writes schema 1 wrote'
  return new DewarError('invalid-argument', `reading ${file}: ${place}: ${issue?.message ?? 'is wrong'}`, {
    remedy,
  })
}

/** A result of nobody or of nothing would be lost in every table without a word. */
function checkReferences(data: z.infer<typeof report>, file: string): void {
  const targets = new Set(data.targets.map(({ name }) => name))
  const probes = new Set(data.probes.map(({ id }) => id))
  const stray = data.results.find((one) => !targets.has(one.target) || !probes.has(one.probe))
  if (stray === undefined) return
  throw new DewarError(
    'invalid-argument',
    `reading ${file}: a result names the target ${stray.target} and the probe ${stray.probe}, and the report does not know both`,
  )
}
