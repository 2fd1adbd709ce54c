/** Variables of the engine's own environment, inside. */
import { readFileSync } from 'node:fs'
import { makeCanary } from '../../canary.ts'
import type { Probe } from '../../probe.ts'
import { conclude } from '../../verdict.ts'
import { insideProbe, sees, textInside } from './inside.ts'

/** Names that every process has; their values say nothing of the engine. */
const ORDINARY = new Set([
  'PATH',
  'HOME',
  'PWD',
  'SHLVL',
  '_',
  'LANG',
  'TERM',
  'HOSTNAME',
  'USER',
  'LOGNAME',
  'SHELL',
])

function variables(environ: string): readonly (readonly [string, string])[] {
  return environ.split('\0').flatMap((row) => {
    const at = row.indexOf('=')
    return at > 0 ? [[row.slice(0, at), row.slice(at + 1)] as const] : []
  })
}

export const environment: Probe = insideProbe(
  {
    id: 'I39',
    slug: 'in.env.inherited',
    asset: 'env',
    question: 'Does a guest inherit variables of the engine’s own environment?',
    method:
      'A variable with a random value in the auditor’s (a bare runtime’s parent), and those of the engine’s processes, are looked for in the first process and in an executed one. Values are not reported.',
    references: ['CVE-2021-3602', 'CVE-2020-14370'],
    remedy: 'Update the engine; do not pass its environment on.',
    readOnly: false,
  },
  async ({ target, create, guest }) => {
    const canary = makeCanary('environment')
    const name = 'DEWAR_AUDIT_CANARY'
    process.env[name] = canary.text
    try {
      const inside = await guest(await create())
      const engine = (await target.enginePids()).flatMap((pid) => variables(readEnviron(pid)))
      const outside = [...engine, [name, canary.text] as const].filter(
        ([key, value]) => !ORDINARY.has(key) && value.length >= 4,
      )
      const environs = [
        await textInside(inside, '/proc/self/environ'),
        await textInside(inside, '/proc/1/environ'),
      ]
      const found = new Set(
        environs
          .flatMap(variables)
          .flatMap(([key, value]) =>
            outside.some(([other, same]) => other === key && same === value) ? [key] : [],
          ),
      )
      return conclude({
        seen: [...found].map((key) => ({ kind: 'value', text: `${key} has the engine’s value` })),
        controls: [
          await sees(inside),
          {
            what: 'the guest’s environment can be read',
            held: environs.some((text) => text.includes('PATH=')),
          },
        ],
        leak: 'Variables of the engine’s environment are in the guest’s.',
        contained: `None of ${outside.length} variables outside is inside.`,
      })
    } finally {
      delete process.env[name]
    }
  },
)

function readEnviron(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}
