import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { paintFor } from './paint.ts'
import type { Findings } from './story.ts'
import { Story, explain, wrap } from './story.ts'

const found: Findings = {
  secret: 'abc',
  search: {
    command: 'find / -name secret-1',
    files: [{ path: '/var/lib/x/upper/root/secret-1', uid: 231072, content: 'abc' }],
    cutShort: false,
  },
  listing: {
    command: 'ps -e -o pid,uid,args',
    processes: [{ pid: 4711, parent: 1, uid: 231072, command: 'node /srv/server.js' }],
  },
  environment: { pid: 4711, value: 'def' },
  inside: { uid: '0', processes: '1' },
}

async function told(findings: Findings, coloured = false): Promise<string> {
  const out = new PassThrough()
  const story = new Story(out, paintFor(coloured), new AbortController().signal)
  story.findings(findings)
  story.explanation(findings)
  out.end()
  return text(out)
}

test('Story shows every finding with its path or pid', async () => {
  const shown = await told(found)
  assert.match(
    shown,
    /# find \/ -name secret-1\n {5}\/var\/lib\/x\/upper\/root\/secret-1\n {5}owned by uid 231072, readable: "abc"/,
  )
  assert.match(shown, /pid 4711 {2}uid 231072 {2}node \/srv\/server\.js/)
  assert.match(shown, /# cat \/proc\/4711\/environ\n {5}EXPERIMENT_SECRET=def/)
})

test('Story has no escape sequence without colours, and has some with them', async () => {
  assert.ok(!(await told(found)).includes('\u001b'))
  assert.ok((await told(found, true)).includes('\u001b[1m'))
})

test('Story says so when nothing was found', async () => {
  const shown = await told({
    ...found,
    search: { ...found.search, files: [] },
    listing: { command: 'ps', processes: [] },
  })
  assert.match(shown, /The file was not found/)
  assert.match(shown, /The processes were not found/)
})

test('Story begins no step after an interrupt', async () => {
  const story = new Story(new PassThrough(), paintFor(false), AbortSignal.abort(new Error('interrupted')))
  await assert.rejects(
    story.step('x', () => Promise.resolve(assert.fail('must not run')), String),
    /interrupted/,
  )
})

test('explain tells a private user range from the host’s own root', () => {
  assert.match(explain(found).join(' '), /on the host it belongs to uid 231072/)
  const files = [{ path: '/x', uid: 0, content: 'abc' }]
  assert.match(
    explain({ ...found, search: { ...found.search, files } }).join(' '),
    /belongs to root on the host too/,
  )
})

test('explain marks the stronger levels as to come, and promises no hidden memory', () => {
  const all = explain(found).join(' ')
  assert.match(all, /Stronger levels are to come \(not in this version\)/)
  assert.match(all, /No level hides memory from a determined root/)
})

test('wrap breaks between words and loses none', () => {
  const lines = wrap('one two three four', 9)
  assert.deepEqual(lines, ['one two', 'three', 'four'])
})
