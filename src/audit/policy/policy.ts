/**
 * A policy: which verdicts are required of which targets, and which leaks are accepted, by whom it is read (a person) and
 * for how long. Written in YAML or JSON (which is YAML), checked whole before an audit begins: a rule with a slip of the
 * pen that selects nothing would look like a rule that holds.
 */
import { parse } from 'yaml'
import { z } from 'zod'
import { DewarError, messageOf } from '../../base/errors.ts'
import { DIRECTIONS, VERDICTS } from '../report/words.ts'
import { OBSERVERS, type ProbeDescription } from '../types.ts'

/** One or many, always kept as many. */
const oneOrMany = <T extends z.ZodType>(one: T) =>
  z.union([one, z.array(one).min(1)]).transform((value) => (Array.isArray(value) ? value : [value]))

const pattern = oneOrMany(z.string().min(1))
const selector = {
  probe: pattern.optional(),
  asset: pattern.optional(),
  target: pattern.optional(),
  direction: oneOrMany(z.enum(DIRECTIONS)).optional(),
  observer: oneOrMany(z.enum(OBSERVERS)).optional(),
}
const verdicts = oneOrMany(z.enum(VERDICTS))

const requirement = z.strictObject({ ...selector, verdict: verdicts.default(['CONTAINED', 'ABSENT']) })

const exception = z.strictObject({
  ...selector,
  verdict: verdicts.default(['LEAK', 'INCONCLUSIVE']),
  reason: z.string().trim().min(1, 'must say why it is accepted'),
  /** The last day on which it counts. */
  expires: z.iso.date('must be a day: 2027-06-30').optional(),
})

const policy = z.strictObject({
  version: z.literal(1),
  require: z.array(requirement).min(1),
  exceptions: z.array(exception).default([]),
})

export type Policy = z.infer<typeof policy>
export type Requirement = Policy['require'][number]
export type Exception = Policy['exceptions'][number]
export type Selector = Omit<Requirement, 'verdict'>

/** `known`: the whole catalogue. Throws DewarError that names the file, the rule and what is wrong. */
export function parsePolicy(text: string, file: string, known: readonly ProbeDescription[]): Policy {
  const found = policy.safeParse(readYaml(text, file))
  if (!found.success) throw refusal(file, found.error.issues[0])
  checkNames(found.data, file, known)
  return found.data
}

function readYaml(text: string, file: string): unknown {
  try {
    // `core` has no dates, so that a day stays the text that was written; no aliases, so that no bomb can be one.
    return parse(text, { schema: 'core', maxAliasCount: 0 })
  } catch (error) {
    throw new DewarError('invalid-argument', `reading policy ${file}: ${messageOf(error)}`, {
      remedy: 'docs/AUDIT.md has examples',
    })
  }
}

function refusal(file: string, issue: z.core.$ZodIssue | undefined): DewarError {
  const place = issue === undefined || issue.path.length === 0 ? 'the whole' : issue.path.join('.')
  return new DewarError('invalid-argument', `reading policy ${file}: ${place}: ${wordsOf(issue)}`, {
    remedy: 'docs/AUDIT.md lists the fields',
  })
}

function wordsOf(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code !== 'unrecognized_keys') return issue?.message ?? 'is wrong'
  return `unknown field ${issue.keys.join(', ')}`
}

/** Probes and assets are ours, so a name that fits none is a mistake. Targets are found out when they are judged. */
function checkNames(data: Policy, file: string, known: readonly ProbeDescription[]): void {
  const parts = { require: data.require, exceptions: data.exceptions }
  for (const [part, rules] of Object.entries(parts))
    rules.forEach((rule: Selector, index) => {
      const place = `reading policy ${file}: ${part}.${index}`
      const probe = rule.probe?.find((one) => !known.some((description) => isProbe(one, description)))
      if (probe !== undefined)
        throw unknown(
          place,
          'probe',
          probe,
          known.map(({ id }) => id),
        )
      const asset = rule.asset?.find((one) => !known.some((description) => fits(one, description.asset)))
      if (asset !== undefined)
        throw unknown(
          place,
          'asset',
          asset,
          known.map((one) => one.asset),
        )
    })
}

function unknown(place: string, what: string, name: string, names: readonly string[]): DewarError {
  const list = [...new Set(names)].join(', ')
  return new DewarError('invalid-argument', `${place}: there is no ${what} ${name}`, {
    remedy: `there are: ${list}`,
  })
}

/** By id (`O01`) or by slug (`in.sys.*`). */
export function isProbe(name: string, probe: ProbeDescription): boolean {
  return fits(name, probe.id) || fits(name, probe.slug)
}

/** `*` stands for any characters. */
export function fits(name: string, value: string): boolean {
  const parts = name.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'is').test(value)
}

/** Each field narrows, several values of one field widen; a selector without fields selects everything. */
export function selects(rule: Selector, probe: ProbeDescription, target: string): boolean {
  return (
    (rule.probe?.some((name) => isProbe(name, probe)) ?? true) &&
    (rule.asset?.some((name) => fits(name, probe.asset)) ?? true) &&
    (rule.target?.some((name) => fits(name, target)) ?? true) &&
    (rule.direction?.includes(probe.direction) ?? true) &&
    (rule.observer?.some((one) => probe.observers.includes(one)) ?? true)
  )
}
