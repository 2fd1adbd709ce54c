/** Each field of the create request through the raw API: shown by inspect and in effect, or refused as dockerd does. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { removeParentGroups } from '../harness/parent-groups.ts'
import { FIELDS, type FieldRow } from './field-rows.ts'
import { expectStatus, field, inspect, skip, startLive, type Live } from './live.ts'

let live: Live

describe('fields', { skip, concurrency: 4 }, () => {
  before(async () => {
    live = await startLive('fields')
  })
  after(async () => {
    await live[Symbol.asyncDispose]()
    await removeParentGroups('dwta/parent', 'dwta')
  })

  for (const row of FIELDS) test(titleOf(row), () => check(row))
})

function titleOf(row: FieldRow): string {
  const end = row.refused === undefined ? 'takes effect' : `is refused with ${row.refused[0]}`
  const version = row.version === undefined ? '' : ` by API ${row.version}`
  return `${row.field} ${JSON.stringify(row.value)}${version} ${end}`
}

async function check(row: FieldRow): Promise<void> {
  const { server } = live
  const body: Record<string, unknown> = {
    Image: 'busybox',
    Cmd: ['sh', '-c', row.inside?.[0] ?? 'true'],
    HostConfig: {},
  }
  for (const [path, value] of [...Object.entries(row.with ?? {}), [row.field, row.value] as const])
    put(body, path, value)
  const made = await server.api('POST', `/v${row.version ?? '1.50'}/containers/create`, body)
  if (row.refused !== undefined) {
    assert.match(`${made.status} ${made.text}`, row.refused[1])
    assert.equal(made.status, row.refused[0], made.text)
    return
  }
  const id = field(made, 201, 'Id')
  try {
    const warnings = String(Reflect.get(Object(made.json), 'Warnings'))
    if (row.warns !== undefined) assert.match(warnings, row.warns)
    const wanted = 'shows' in row ? row.shows : row.value
    assert.deepEqual(pick(await inspect(server, id), row.field), wanted, 'inspect')
    if (row.only !== undefined) return
    const started = await server.api('POST', `/containers/${id}/start`)
    if (row.fails !== undefined) {
      assert.match(`${started.status} ${started.text}`, row.fails[1])
      assert.equal(started.status, row.fails[0])
      return
    }
    expectStatus(started, 204)
    if (row.inside === undefined) return
    expectStatus(await server.api('POST', `/containers/${id}/wait`), 200)
    const { stdout } = await server.run(['sh', '-c', `docker logs ${id} 2>&1`])
    assert.match(stdout.trim().replaceAll('\r', ''), row.inside[1])
  } finally {
    await server.api('DELETE', `/containers/${id}?force=1&v=1`)
  }
}

function put(body: Record<string, unknown>, path: string, value: unknown): void {
  const [first = '', second] = path.split('.')
  if (second === undefined) body[first] = value
  else body[first] = { ...Object(body[first]), [second]: value }
}

function pick(view: Record<string, unknown>, path: string): unknown {
  const [first = '', second] = path.split('.')
  return second === undefined
    ? Reflect.get(Object(view['Config']), first)
    : Reflect.get(Object(view['HostConfig']), second)
}
