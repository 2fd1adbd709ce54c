import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completionScript } from './completion-script.ts'
import { findEngine } from './engine-place.ts'
import { familiarName, fullRepository, parseImageName, withDefaultTag } from './image-name.ts'
import { COMMANDS, GROUPS, resolveName } from './registry.ts'
import { suggest } from './suggest.ts'

const NONE = { hosts: [], root: '', run: '' }

test('findEngine takes -H, then DEWAR_HOST, then DOCKER_HOST, then its own socket', () => {
  const env = { DEWAR_HOST: 'unix:///d', DOCKER_HOST: 'unix:///k' }
  assert.equal(findEngine({ ...NONE, hosts: ['unix:///h'] }, env).host, 'unix:///h')
  assert.equal(findEngine(NONE, env).host, 'unix:///d')
  assert.equal(findEngine(NONE, { DOCKER_HOST: 'unix:///k' }).host, 'unix:///k')
  assert.equal(findEngine({ ...NONE, run: '/r' }, {}).host, 'unix:///r/dewar.sock')
})

test('findEngine starts an engine only where it is ours', () => {
  assert.equal(findEngine(NONE, {}).startable, true)
  assert.equal(findEngine(NONE, { DOCKER_HOST: 'unix:///k' }).startable, false)
  assert.equal(findEngine({ ...NONE, root: '/r' }, { DOCKER_HOST: 'unix:///k' }).startable, true)
  assert.equal(findEngine({ ...NONE, root: '/r' }, { DOCKER_HOST: 'tcp://h:1' }).startable, false)
})

test('parseImageName resolves names as docker does', () => {
  const full = (text: string): string => fullRepository(parseImageName(text))
  assert.equal(full('nginx'), 'docker.io/library/nginx')
  assert.equal(full('team/app:1'), 'docker.io/team/app')
  assert.equal(full('localhost/app'), 'localhost/app')
  assert.equal(full('host:5000/a/b@sha256:' + 'a'.repeat(64)), 'host:5000/a/b')
  assert.equal(familiarName(withDefaultTag(parseImageName('docker.io/library/nginx'))), 'nginx:latest')
  for (const bad of ['', 'Foo', 'a//b', 'a:', ':x', 'a@sha256:zz', '-a', 'a'.repeat(0)])
    assert.throws(() => parseImageName(bad), bad)
})

test('suggest finds what someone meant', () => {
  assert.deepEqual(suggest('rnu', ['run', 'rm', 'stats']), ['run'])
  assert.deepEqual(suggest('imges', Object.keys(COMMANDS)), ['images'])
  assert.deepEqual(suggest('zzzzzz', Object.keys(COMMANDS)), [])
})

test('resolveName says whose compose and buildx are, and what works with this engine', async () => {
  await assert.rejects(resolveName('compose', []), /DOCKER_HOST=unix:\S+ docker compose$/)
  await assert.rejects(resolveName('buildx', []), /DOCKER_HOST=unix:\S+ docker buildx$/)
})

test('every command loads, has a summary, examples, and flags with a help of their own', async () => {
  const loads = [
    ...Object.entries(COMMANDS),
    ...Object.entries(GROUPS).flatMap(([group, { commands }]) =>
      Object.entries(commands).map(([name, load]) => [`${group} ${name}`, load] as const),
    ),
  ]
  for (const [name, load] of loads) {
    const spec = await load()
    assert.ok(spec.summary !== '' && spec.examples.length > 0, `${name} lacks a summary or examples`)
    const shorts = Object.values(spec.flags).flatMap(({ short }) => (short === undefined ? [] : [short]))
    assert.equal(new Set(shorts).size, shorts.length, `${name} has one letter twice`)
    for (const [flag, { summary, aliasOf }] of Object.entries(spec.flags)) {
      assert.ok(summary !== '', `${name} --${flag} has no help`)
      assert.ok(
        aliasOf === undefined || spec.flags[aliasOf] !== undefined,
        `${name} --${flag} is an alias of nothing`,
      )
    }
  }
})

test('completionScript quotes what it is given for every shell', () => {
  const flags = [{ name: 'all', short: 'a', summary: "Don't stop", hasValue: false }]
  const command = { path: 'container ls', summary: "It's a list", takes: 'nothing' as const, flags }
  for (const shell of ['bash', 'zsh', 'fish'] as const)
    assert.match(completionScript(shell, [command]), /--all|-l all/)
})
