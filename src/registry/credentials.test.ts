import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { storedCredentials } from './credentials.ts'

function home(config: unknown): { readonly path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), 'dwt-img-cred-'))
  writeFileSync(join(path, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

const auth = Buffer.from('joe:se:cret').toString('base64')

test('storedCredentials reads auths by host, URL and Docker Hub’s old key', async () => {
  using folder = home({
    auths: {
      'localhost:5000': { auth },
      'https://index.docker.io/v1/': { auth, identitytoken: 't' },
      'https://other.example/v2/': { auth },
    },
  })
  const joe = { username: 'joe', password: 'se:cret' }
  assert.deepEqual(await storedCredentials('localhost:5000', folder.path), {
    ...joe,
    serverAddress: 'localhost:5000',
  })
  assert.deepEqual(await storedCredentials('docker.io', folder.path), {
    ...joe,
    identityToken: 't',
    serverAddress: 'https://index.docker.io/v1/',
  })
  assert.deepEqual(await storedCredentials('other.example', folder.path), {
    ...joe,
    serverAddress: 'other.example',
  })
  assert.equal(await storedCredentials('none.example', folder.path), undefined)
  assert.equal(await storedCredentials('x', join(folder.path, 'nothing-here')), undefined)
})

test('storedCredentials asks the helper of a registry, and says when it is not installed', async () => {
  using folder = home({ credsStore: 'dwt-missing', credHelpers: { 'a.example': 'dwt-test' } })
  const program = join(folder.path, 'docker-credential-dwt-test')
  writeFileSync(
    program,
    '#!/bin/sh\nread server\necho "{\\"Username\\":\\"u-$server\\",\\"Secret\\":\\"s\\"}"\n',
  )
  chmodSync(program, 0o755)
  const path = process.env['PATH']
  process.env['PATH'] = `${folder.path}:${path}`
  try {
    const found = await storedCredentials('a.example', folder.path)
    assert.deepEqual(found, { username: 'u-a.example', password: 's', serverAddress: 'a.example' })
  } finally {
    process.env['PATH'] = path
  }
  await assert.rejects(
    storedCredentials('b.example', folder.path),
    /Asking docker-credential-dwt-missing .* not installed/,
  )
})

test('storedCredentials names a configuration it cannot read', async () => {
  using folder = home('{"auths":')
  await assert.rejects(storedCredentials('x', folder.path), {
    code: 'invalid-argument',
    message: /config\.json failed/,
  })
})
