import { test } from 'node:test'
import assert from 'node:assert/strict'
import { completeHostConfig, mergeConfig } from './config.ts'
import { lineAttributes, logAttributes, tagFields } from './log-attributes.ts'

const image = { env: [], cmd: null, entrypoint: null, labels: {}, user: '', workingDir: '', volumes: {}, exposedPorts: {}, onBuild: null } // prettier-ignore

function record(options: Record<string, string>, labels: Record<string, string> = { k: 'v w', other: 'x' }) {
  const hostConfig = completeHostConfig(
    { logConfig: { type: 'json-file', config: options } },
    { runtime: 'namespaces', logConfig: { type: 'json-file', config: {} } },
  )
  const config = mergeConfig(
    {
      config: { image: 'busybox', labels, env: ['A=1', 'AB=2'] },
      hostConfig,
      endpoints: {},
    },
    image,
    'i',
  )
  return { id: 'abcdef0123456789', name: 'one', imageId: 'sha256:0123456789abcdef', config, hostConfig }
}

test('logAttributes takes what the options name, in order, escaped as in a URL', () => {
  assert.equal(logAttributes(record({ labels: 'k,none', env: 'A' })), 'A=1,k=v+w')
  assert.equal(logAttributes(record({ 'env-regex': '^A' })), 'A=1,AB=2')
  assert.equal(logAttributes(record({ tag: '{{.Name}}/{{ .ID }}' })), 'tag=one%2Fabcdef012345')
  assert.equal(logAttributes(record({})), '')
})

test('logAttributes writes half of a surrogate pair as Go does: it must not keep a log from being read', () => {
  assert.equal(
    logAttributes(record({ labels: 'k' }, { k: 'a\ud800b\u{1f600}' })),
    'k=a%EF%BF%BDb%F0%9F%98%80',
  )
})

test('lineAttributes is the JSON that Go writes into each line', () => {
  assert.equal(lineAttributes(record({ labels: 'k', env: 'A', tag: 'x' })), '{"A":"1","k":"v w","tag":"x"}')
  assert.equal(
    lineAttributes(record({ tag: '<&>"\\\n\u2028\u0000é' })),
    '{"tag":"\\u003c\\u0026\\u003e\\"\\\\\\n\\u2028\\u0000é"}',
  )
  assert.equal(lineAttributes(record({})), '')
})

test('tagFields knows templates that can be filled in', () => {
  assert.deepEqual(tagFields('a-{{.FullID}}'), ['FullID'])
  assert.equal(tagFields('{{.Nope}}'), undefined)
  assert.equal(tagFields('{{range .X}}'), undefined)
})
