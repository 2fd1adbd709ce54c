/** `dewar login`, push and pull with a real registry that believes a token server, and passwords that a helper keeps. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import type { CommandOptions, CommandResult } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR } from '../harness/project.ts'
import { startRegistry } from '../harness/registry.ts'
import { findProgram, missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const skip = missing('docker-registry', 'openssl', 'nsenter', 'busybox', 'skopeo')
const TOKENS = 5010
const GUARDED = '127.0.0.1:5011'
const PLAIN = '127.0.0.1:5012'
const TOKEN_SERVER = fileURLToPath(new URL('token-server.js', import.meta.url))

/** Keeps what it is given in a file, as docker-credential-helpers' protocol has it. */
const HELPER = `#!/bin/sh
kept=\${0%/*}/kept; input=$(cat); echo "$1" >>\${0%/*}/asked
case $1 in
store) printf %s "$input" >$kept ;;
get) [ -f $kept ] && cat $kept || { echo credentials not found in native keychain; exit 1; } ;;
erase) rm -f $kept ;;
esac
`

let scope: Scope
let server: Server
let folder = ''

before(async () => {
  if (skip !== false) return
  scope = new Scope()
  folder = scope.use(await tempFolder('login')).path
  const network = scope.use(await networkNamespace(join(folder, 'net.log')))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const request = [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=tokens',
  ]
  await command([...request, '-keyout', key, '-out', certificate], { check: true })
  const tokens = [...network.enter, process.execPath, TOKEN_SERVER, String(TOKENS), key, certificate]
  scope.use(background(tokens, join(folder, 'tokens.log')))
  const asks = [...network.enter, 'bash', '-c', `: < /dev/tcp/127.0.0.1/${TOKENS}`]
  await until('the token server', async () => (await command(asks)).code === 0)
  const auth = `{ token: { realm: "http://127.0.0.1:${TOKENS}/token", service: guarded, issuer: dewar-tests, rootcertbundle: "${certificate}" } }`
  const storage = (name: string): string => join(folder, name)
  const registries = { folder, network }
  scope.use(await startRegistry({ ...registries, storage: storage('guarded'), port: 5011, auth }))
  scope.use(await startRegistry({ ...registries, storage: storage('plain'), port: 5012 }))
  server = scope.use(await startEngine({ folder, network, bridge: 'dwtlog0', subnet: '10.233.5.0/24' }))
  await mkdir(join(folder, 'helpers'))
  await writeFile(join(folder, 'helpers', 'docker-credential-dwt'), HELPER)
  await chmod(join(folder, 'helpers', 'docker-credential-dwt'), 0o755)
  await mkdir(join(folder, 'root', 'bin'), { recursive: true })
  await command(['cp', findProgram('busybox') ?? '', join(folder, 'root', 'bin')], { check: true })
  const archive = await command(['tar', '-C', join(folder, 'root'), '-cf', join(folder, 'root.tar'), 'bin'])
  assert.equal(archive.code, 0)
  await dewar(['import', join(folder, 'root.tar'), `${GUARDED}/team/app:1`], { check: true })
})

after(() => scope?.[Symbol.asyncDispose]())

/** With settings that say who keeps the passwords, or none. */
async function settings(content: object): Promise<void> {
  await mkdir(join(folder, 'client'), { recursive: true })
  await writeFile(join(folder, 'client', 'config.json'), JSON.stringify(content))
}

function dewar(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const path = `${join(folder, 'helpers')}:${process.env['PATH']}`
  return server.run([process.execPath, DEWAR, ...args], { ...options, env: { PATH: path } })
}

const login = (name: string, password: string): Promise<CommandResult> =>
  dewar(['login', '-u', name, '--password-stdin', GUARDED], { input: password })
const read = (...path: readonly string[]): Promise<string> => readFile(join(folder, ...path), 'utf8')

describe('a registry with a token server', { skip, concurrency: 1 }, () => {
  test('refuses push and pull without a login', async () => {
    await settings({})
    for (const verb of ['push', 'pull']) {
      const result = await dewar([verb, `${GUARDED}/team/app:1`])
      assert.equal(result.code, 1, result.stdout)
      assert.match(result.stderr, /denied|unauthorized|authentication required/)
    }
  })

  test('login refuses a wrong password and keeps nothing', async () => {
    await settings({ credHelpers: { [GUARDED]: 'dwt' } })
    const result = await login('alice', 'wrong')
    assert.equal(result.code, 1)
    assert.match(result.stderr, /incorrect username or password|unauthorized/)
    await assert.rejects(read('helpers', 'kept'), { code: 'ENOENT' })
  })

  test('login gives the password to the helper, and push and pull get it from there', async () => {
    const result = await login('alice', 'opens: it')
    assert.equal(result.code, 0, result.stderr)
    assert.match(result.stdout, /^Login Succeeded$/m)
    assert.deepEqual(JSON.parse(await read('helpers', 'kept')), {
      ServerURL: GUARDED,
      Username: 'alice',
      Secret: 'opens: it',
    })
    assert.doesNotMatch(await read('client', 'config.json'), /opens|YWxpY2U/, 'it is not in the file')
    const pushed = await dewar(['push', `${GUARDED}/team/app:1`], { check: true })
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed.stdout)?.[1] ?? ''
    await dewar(['rmi', `${GUARDED}/team/app:1`], { check: true })
    const pulled = await dewar(['pull', `${GUARDED}/team/app:1`], { check: true })
    assert.match(pulled.stdout, new RegExp(`Digest: ${digest}`))
    const asked = (await read('tokens.log')).split('\n')
    assert.ok(asked.some((line) => /^alice repository:team\/app:(pull,push|push,pull)$/.test(line)))
    assert.ok(asked.includes('alice repository:team/app:pull'))
  })

  test('push to another registry keeps the digest, and asks nobody for a token', async () => {
    const before = await read('tokens.log')
    await dewar(['tag', `${GUARDED}/team/app:1`, `${PLAIN}/copy:2`], { check: true })
    const pushed = await dewar(['push', `${PLAIN}/copy:2`], { check: true })
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed.stdout)?.[1]
    const seen = await server.run(['skopeo', 'inspect', '--tls-verify=false', `docker://${PLAIN}/copy:2`], {
      check: true,
    })
    assert.equal((JSON.parse(seen.stdout) as { Digest: string }).Digest, digest)
    assert.equal(await read('tokens.log'), before)
  })

  test('push by one who may only pull is denied, and the pull goes on working', async () => {
    assert.equal((await login('bob', 'reads')).code, 0)
    await dewar(['pull', `${GUARDED}/team/app:1`], { check: true })
    await dewar(['tag', `${GUARDED}/team/app:1`, `${GUARDED}/team/mine:1`], { check: true })
    const result = await dewar(['push', `${GUARDED}/team/mine:1`])
    assert.equal(result.code, 1, result.stdout)
    assert.match(result.stderr, /denied/)
  })

  test('logout lets the helper forget, and the next pull is refused', async () => {
    const result = await dewar(['logout', GUARDED])
    assert.equal(result.code, 0, result.stderr)
    assert.match(await read('helpers', 'asked'), /^erase$/m)
    await assert.rejects(read('helpers', 'kept'), { code: 'ENOENT' })
    assert.equal((await dewar(['pull', `${GUARDED}/team/app:1`])).code, 1)
  })
})
