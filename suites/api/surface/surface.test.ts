/**
 * Is the whole Engine API there? Each endpoint with each of its parameters (rows.ts), said to a real dockerd 26 and to
 * Dewar in the same order: status, content type, and the fields and types of each answer must be the same, but for what
 * differences.ts gives a reason for.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missing } from '../../harness/requirement.ts'
import { Scope } from '../../harness/scope.ts'
import type { Server } from '../../harness/server.ts'
import { startDockerd } from '../../harness/start-dockerd.ts'
import { startSide } from '../../harness/start-side.ts'
import { trixie } from '../../harness/trixie.ts'
import type { Said } from './call.ts'
import { converse, parseRows } from './conversation.ts'
import { SHAPE, STATUS, UNLIKE } from './differences.ts'
import { rowFiles } from './files.ts'
import { ROWS } from './rows.ts'
import { shapeOf } from './shape.ts'
import { furnish } from './world.ts'

/** The newest that dockerd 26 speaks. */
const VERSION = 'v1.45'

const needs = missing('dockerd', 'docker', 'docker-registry', 'skopeo', 'busybox', 'nsenter')
const unpacked = needs === false ? await trixie() : undefined
const skip = needs !== false ? needs : typeof unpacked === 'string' ? unpacked : false

test('every endpoint with every parameter answers like dockerd 26', { skip }, async () => {
  await using scope = new Scope()
  const rows = parseRows(ROWS, await rowFiles())
  assert.ok(rows.length > 400, `${rows.length} rows`)
  const [theirs, ours] = await Promise.all(
    [startReference(scope), startSide('dewar', scope).then(({ server }) => server)].map(async (starting) => {
      const server = await starting
      await furnish(server)
      return converse(server.socket, rows, VERSION)
    }),
  )
  assert.ok(theirs && ours)
  const used = new Set<unknown>()
  const problems = [...theirs].flatMap(([row, reference]) =>
    problemsOf(row, reference, ours.get(row), used).map((problem) => `${row}\n    ${problem}`),
  )
  const idle = [...STATUS, ...SHAPE]
    .filter((entry) => !used.has(entry))
    .map((entry) => `no longer differs: ${String(entry)}`)
  assert.deepEqual([...problems, ...idle], [])
})

async function startReference(scope: Scope): Promise<Server> {
  const { server } = await startSide('dockerd', scope)
  await server[Symbol.asyncDispose]()
  const { folder, network } = server
  return scope.use(await startDockerd({ folder, network, release: 'trixie' }))
}

function problemsOf(row: string, theirs: Said, ours: Said | undefined, used: Set<unknown>): string[] {
  if (ours === undefined) return ['was not said to Dewar']
  const unlike = UNLIKE.some(([rows]) => rows.test(row))
  if (theirs.status !== ours.status) {
    const known = STATUS.find(
      ([rows, before, now]) => matches(rows, row) && before === theirs.status && now === ours.status,
    )
    used.add(known)
    const left = [theirs.status, ours.status].includes(0) && unlike
    return known !== undefined || left ? [] : [`dockerd ${told(theirs)}\n    dewar   ${told(ours)}`]
  }
  if (unlike) return []
  if (mediaType(theirs) !== mediaType(ours)) return [`content type ${theirs.type}, ours ${ours.type}`]
  return shapeProblems(row, shapeOf(theirs.value ?? null), shapeOf(ours.value ?? null), used)
}

function shapeProblems(row: string, theirs: Set<string>, ours: Set<string>, used: Set<unknown>): string[] {
  const lines = [
    ...[...theirs].filter((line) => !ours.has(line)).map((line) => ({ line, who: 'missing' })),
    ...[...ours].filter((line) => !theirs.has(line)).map((line) => ({ line, who: 'only ours' })),
  ]
  return lines
    .filter(({ line }) => {
      const known = SHAPE.filter(([rows, shapes]) => rows.test(row) && shapes.test(line))
      for (const entry of known) used.add(entry)
      return known.length === 0
    })
    .map(({ line, who }) => `${who}: ${line}`)
}

function matches(rows: string | RegExp, row: string): boolean {
  return typeof rows === 'string' ? rows === row : rows.test(row)
}

function told({ status, text }: Said): string {
  return `${status} ${text.replaceAll(/[^\x20-\x7e]/g, '.').slice(0, 200)}`
}

function mediaType({ type }: Said): string {
  return type.replace(/;.*/, '')
}
