import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findAllAuths, findAuth, HUB_KEY, readConfig, writeConfig } from './config-file.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const path = process.env['PATH']
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dewar-config-'))
  // As docker's helpers do: the key comes on stdin, what is not known is an error.
  const helper = `#!/bin/sh
[ "$1" = get ] || exit 1
read -r key
case $key in
  named.example) echo '{"ServerURL":"named.example","Username":"kim","Secret":"from-helper"}' ;;
  token.example) echo '{"ServerURL":"token.example","Username":"<token>","Secret":"identity"}' ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`
  await writeFile(join(folder, 'docker-credential-test'), helper, { mode: 0o755 })
  process.env['PATH'] = `${folder}:${path ?? ''}`
})
after(async () => {
  process.env['PATH'] = path
  await rm(folder, { recursive: true })
})

async function withFile(raw: unknown) {
  await writeFile(join(folder, 'config.json'), JSON.stringify(raw))
  return readConfig(folder)
}

test('findAuth reads name and password of one registry and gives them to no other', async () => {
  const config = await withFile({
    auths: {
      'https://registry.example/v2/': { auth: base64('ann:pass:word') },
      [HUB_KEY]: { auth: base64('hub:secret') },
      'identity.example': { identitytoken: 'long-lived' },
    },
  })
  const auth = await findAuth(config, 'registry.example')
  assert.deepEqual(auth, { username: 'ann', password: 'pass:word', serveraddress: 'registry.example' })
  assert.equal((await findAuth(config, 'docker.io'))?.username, 'hub')
  assert.equal((await findAuth(config, 'identity.example'))?.identitytoken, 'long-lived')
  for (const other of ['example', 'registry.example.org', 'my-registry.example', 'registry.example:5000'])
    assert.equal(await findAuth(config, other), undefined, other)
})

test('findAuth asks the helper of a registry, then that of all, and not the file', async () => {
  const auths = { 'named.example': { auth: base64('old:file') }, 'unknown.example': { auth: base64('x:y') } }
  const own = await withFile({ auths, credHelpers: { 'named.example': 'test', 'token.example': 'test' } })
  const named = { username: 'kim', password: 'from-helper', serveraddress: 'named.example' }
  assert.deepEqual(await findAuth(own, 'named.example'), named)
  assert.equal((await findAuth(own, 'unknown.example'))?.password, 'y')
  const all = await findAllAuths(own)
  assert.deepEqual(Object.keys(all).toSorted(), ['named.example', 'token.example', 'unknown.example'])
  assert.deepEqual(all['token.example'], { identitytoken: 'identity', serveraddress: 'token.example' })
  const store = await withFile({ auths, credsStore: 'test' })
  assert.deepEqual(await findAuth(store, 'named.example'), named)
  assert.equal(await findAuth(store, 'unknown.example'), undefined)
})

test('readConfig refuses what is no object, and writeConfig keeps the file to its owner', async () => {
  assert.deepEqual((await readConfig(join(folder, 'nosuch'))).raw, {})
  await assert.rejects(withFile([]), /config\.json failed: it is not a JSON object \(correct or remove it\)/)
  const config = await withFile({ psFormat: 'x' })
  await writeConfig(config, { ...config.raw, auths: {} })
  assert.equal((await stat(config.path)).mode & 0o777, 0o600)
  assert.deepEqual(JSON.parse(await readFile(config.path, 'utf8')), { psFormat: 'x', auths: {} })
})
