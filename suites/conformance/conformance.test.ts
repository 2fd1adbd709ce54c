/**
 * Every row of the table with the real docker client on a real dockerd, the same client on our engine, and our own
 * client on our engine: exit code, stdout and stderr must be equal after normalisation (normalise.ts).
 *
 * DEWAR_CONFORMANCE=self puts a second dockerd in our place: the way to see that the table itself is sound.
 * DEWAR_CONFORMANCE_ROWS=REGEX selects rows.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { show, unexplained, unfulfilled } from './compare.ts'
import { DIFFERENCES, type Difference } from './difference.ts'
import type { Row } from './row.ts'
import { prepare, sideOf, type Side } from './side.ts'
import { startSide } from '../harness/start-side.ts'
import { TABLE } from './table.ts'

const SELF = process.env['DEWAR_CONFORMANCE'] === 'self'
const wanted = new RegExp(process.env['DEWAR_CONFORMANCE_ROWS'] ?? '')
const rows = TABLE.filter((row) => wanted.test(row.name))
const needs = missing(
  'dockerd',
  'docker',
  'docker-registry',
  'skopeo',
  'busybox',
  'expect',
  'jq',
  'curl',
  'nsenter',
  'git',
  'xz',
  'bzip2',
)

test('the conformance table has rows with names of their own', () => {
  assert.ok(TABLE.length >= 150, `${TABLE.length} rows`)
  assert.equal(new Set(TABLE.map((row) => row.name)).size, TABLE.length)
})

describe('conformance', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  const used = new Set<Difference>()
  let sides: readonly [reference: Side, engine: Side, cli: Side | undefined] | undefined
  let commands: ReadonlySet<string> = new Set()

  before(async () => {
    const [reference, ours] = await Promise.all([
      startSide('dockerd', scope),
      startSide(SELF ? 'dockerd' : 'dewar', scope),
    ])
    const imageIds = await prepare(reference.server, reference.nginx)
    await prepare(ours.server, ours.nginx)
    const cli = SELF || !existsSync(DEWAR) ? undefined : await sideOf('cli', ours.server, imageIds)
    if (cli !== undefined) commands = await ownCommands()
    sides = [
      await sideOf('reference', reference.server, imageIds),
      await sideOf('engine', ours.server, imageIds),
      cli,
    ]
  })
  after(async () => scope[Symbol.asyncDispose]())

  for (const row of rows)
    test(row.name, async () => {
      assert.ok(sides)
      const [reference, engine, cli] = sides
      const withCli = row.notCli === undefined && commandsOf(row).every((name) => commands.has(name))
      const [expected, ours] = await Promise.all([
        reference.run(row),
        engine.run(row).then(async (first) => [first, withCli ? await cli?.run(row) : undefined] as const),
      ])
      const [byDocker, byDewar] = ours
      const problems: string[] = []
      const wrong = unfulfilled(row, expected)
      if (wrong !== undefined) problems.push(`the row is wrong: ${wrong}`)
      const check = (on: 'engine' | 'cli', title: string, answer: typeof expected | undefined) => {
        if (answer === undefined) return
        const found = unexplained(expected, answer, knownFor(row, on), used)
        if (found.length > 0) problems.push(`${title}: ${found.join('\n')}`)
      }
      check('engine', 'docker on our engine', byDocker)
      check('cli', 'dewar on our engine', byDewar)
      if (problems.length > 0)
        assert.fail(`${problems.join('\n')}\n${row.script}\ndockerd: ${show(expected)}`)
    })

  test('every known difference still differs', { skip: SELF || rows.length < TABLE.length }, (t) => {
    for (const { row, on, part, reason } of used)
      t.diagnostic(`known difference: ${String(row)} (${on ?? 'engine and cli'}, ${part}): ${reason}`)
    const stale = DIFFERENCES.filter((difference) => !used.has(difference))
    assert.deepEqual(
      stale.map(({ row, part }) => `${String(row)}: ${part}`),
      [],
    )
  })
})

function knownFor(row: Row, on: 'engine' | 'cli'): Difference[] {
  return DIFFERENCES.filter(
    (known) =>
      (known.on ?? on) === on &&
      (typeof known.row === 'string' ? known.row === row.name : known.row.test(row.name)),
  )
}

/** The subcommands a row's script uses by the name `docker`. */
function commandsOf(row: Row): string[] {
  const found = row.script.matchAll(/(?<![\w.-])docker (?!-)(\w+)/g)
  return [...found].map((match) => match[1] ?? '')
}

/** What `dewar --help` lists; rows with other commands are not compared on it. */
async function ownCommands(): Promise<ReadonlySet<string>> {
  const help = await command([process.execPath, DEWAR, '--help'])
  return new Set([...help.stdout.matchAll(/^ {2,}([a-z]+)\b/gm)].map((match) => match[1] ?? ''))
}
