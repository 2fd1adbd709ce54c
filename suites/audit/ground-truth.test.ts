/**
 * The audit's own truth: targets that were made weak on purpose, one protection at a time. The probes of that protection
 * must say LEAK, and those beside it must go on saying CONTAINED.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { audit } from '../../src/audit/audit.ts'
import { PROBES } from '../../src/audit/probes/index.ts'
import type { Report, Result } from '../../src/audit/types.ts'
import { runArgumentsBody, splitWords } from '../../src/cli/run-arguments.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startSide } from '../harness/start-side.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { weaknessesOf, type Side, type Weakness } from './weaknesses.ts'

const needs = missing('dockerd', 'docker', 'docker-registry', 'skopeo', 'busybox')

class Bench {
  readonly #socket: string
  readonly #kind: Side
  readonly #folder: string
  readonly #storage: string

  constructor(kind: Side, socket: string, folder: string, storage: string) {
    this.#kind = kind
    this.#socket = socket
    this.#folder = folder
    this.#storage = storage
  }

  /** Verdicts of these probes on containers that are run with these options. */
  async judge(ids: readonly string[], words: string): Promise<Report> {
    const given = words
      .replaceAll('SOCKET', this.#socket)
      .replaceAll('ROOT', dirname(this.#socket))
      .replaceAll('STORAGE', this.#storage)
    const filtered = Object.entries(FILTERS).reduce(
      (text, [name, calls]) => text.replaceAll(name, () => filterOf(this.#folder, name, calls)),
      given,
    )
    const runArguments = splitWords(filtered)
    const word = this.#kind === 'dewar' ? 'dewar' : 'docker'
    return audit({
      targets: [`${word}=${this.#socket}`],
      probes: PROBES.filter(({ id }) => ids.includes(id)),
      ...{ load: false, env: {}, version: 'test', runArguments, limit: 500_000 },
      runBody: runArgumentsBody(runArguments),
      dewar: async () => this.#socket,
      program: join(PROJECT, 'native/build/dewar-probe'),
      signal: AbortSignal.timeout(600_000),
      onEvent: () => undefined,
      journalFolder: join(this.#folder, 'journal'),
    })
  }
}

/** Of all that I29 asks. */
const ADMIN = [
  ...['bpf', 'perf_event_open', 'init_module', 'finit_module', 'delete_module', 'kexec_load', 'syslog'],
  ...['quotactl', 'swapon', 'acct', 'settimeofday'],
]

/** Filters that refuse nothing but these. */
const FILTERS: Readonly<Record<string, readonly string[]>> = {
  NO_SYNC: ['sync', 'syncfs'],
  NO_ADMIN: [...ADMIN, 'keyctl'],
  ONLY_KEYCTL: ADMIN,
}

function filterOf(folder: string, name: string, names: readonly string[]): string {
  const path = join(folder, `${name}.json`)
  const syscalls = [{ names, action: 'SCMP_ACT_ERRNO' }]
  writeFileSync(path, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }))
  return path
}

function of(report: Report, id: string): Result {
  const found = report.results.find(({ probe }) => probe === id)
  assert.ok(found, `${id} said nothing: ${report.targets.map(({ missing: why }) => why?.reason).join()}`)
  return found
}

const told = ({ probe, verdict, reason, evidence }: Result): string =>
  `${probe} ${verdict}: ${reason} ${evidence.map(({ text }) => text).join(' | ')}`.slice(0, 600)

function assertCaught(report: Report, { caught, contained }: Weakness): void {
  for (const id of caught) assert.equal(of(report, id).verdict, 'LEAK', told(of(report, id)))
  for (const id of contained)
    assert.match(of(report, id).verdict, /^(CONTAINED|ABSENT)$/, told(of(report, id)))
}

describe('ground truth', { skip: needs, concurrency: 2 }, () => {
  for (const kind of ['dewar', 'dockerd'] as const)
    describe(kind, { concurrency: 1 }, () => {
      const scope = new Scope()
      const weaknesses = weaknessesOf(kind)
      let bench: Bench

      before(async () => {
        const { path } = scope.use(await tempFolder(`truth-${kind}`))
        const { server } = await startSide(kind, scope)
        const { json } = await server.api('GET', '/info')
        const { DockerRootDir } = json as { DockerRootDir: string }
        bench = new Bench(kind, server.socket, path, DockerRootDir)
      })
      after(async () => scope[Symbol.asyncDispose]())

      for (const base of new Set(weaknesses.map((weakness) => weakness.base)))
        test(`${base || 'as it comes'}: none of these probes finds what is only then taken away`, async () => {
          const here = weaknesses.filter((weakness) => weakness.base === base)
          const ids = [...new Set(here.flatMap(({ caught, contained }) => [...caught, ...contained]))]
          const report = await bench.judge(ids, base)
          for (const id of ids)
            assert.match(of(report, id).verdict, /^(CONTAINED|ABSENT)$/, told(of(report, id)))
          assert.deepEqual(report.leftovers, [])
        })

      for (const weakness of weaknesses)
        test(`${weakness.words || `no ${weakness.base}`} is caught by ${weakness.caught.join(', ')}`, async () => {
          const { caught, contained, words } = weakness
          assertCaught(await bench.judge([...caught, ...contained], words), weakness)
        })
    })
})
