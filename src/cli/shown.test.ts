import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { Cli } from './cli.ts'
import { printList, type ListView } from './list.ts'
import { shownLines } from './shown.ts'

/** Sets the terminal's title, empties it, and forges a row. */
const HOSTILE = 'a\u001b]0;owned\u0007\u001b[2J\nforged\trow\u009b'
const VIEW: ListView<string> = {
  typeName: 'test',
  quiet: 'By',
  table: ['By', 'Size'],
  methods: { Label: (item) => item },
  columns: { By: { header: 'BY', of: (item) => item }, Size: { header: 'SIZE', of: () => 3 } },
}

function printed(format: string, isTTY: boolean): string {
  let text = ''
  const stdout = { isTTY, write: (more: string) => (text += more) }
  printList([HOSTILE], VIEW, { format, quiet: false }, { stdout } as unknown as Cli)
  return text
}

test('printList shows a terminal what would be obeyed there, in one row', () => {
  const cell = String.raw`a\x1b]0;owned\x07\x1b[2J\nforged\trow\x9b`
  assert.equal(printed('', true), `BY${' '.repeat(cell.length + 1)}SIZE\n${cell}   3\n`)
  assert.equal(printed('\u001b[1m{{.Label "x"}} {{.Size}}', true), `\u001b[1m${cell} 3\n`)
  assert.equal(printed('{{.By}}', false), `${HOSTILE}\n`, 'a program gets what there is')
})

test('shownLines keeps the lines and tabs of a message, and nothing else that a terminal obeys', () => {
  assert.equal(shownLines('a\n\tb\u001b[2J', { isTTY: true }), 'a\n\tb\\x1b[2J')
  assert.equal(shownLines('a\u001b[2J', { isTTY: false }), 'a\u001b[2J')
})
