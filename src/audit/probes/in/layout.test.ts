import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namesHost } from './layout.ts'

test('namesHost finds the host’s name with its domain and without', () => {
  assert.ok(namesHost('127.0.1.1 box.example.org box', 'box.example.org'))
  assert.ok(namesHost('box\n', 'box.example.org'))
  assert.ok(namesHost('127.0.1.1\tbox.example.org', 'box'))
  assert.ok(!namesHost('127.0.0.1 localhost boxes', 'box'))
  assert.ok(!namesHost('', 'box'))
})
