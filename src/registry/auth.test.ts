import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChallenges } from './auth.ts'
import { DEFAULT_REGISTRY_OPTIONS, endpointsOf } from './endpoints.ts'

test('parseChallenges reads what registries send', () => {
  const header =
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="x \\"y\\""'
  const [challenge] = parseChallenges(header)
  assert.equal(challenge?.scheme, 'bearer')
  assert.deepEqual(Object.fromEntries(challenge?.parameters ?? []), {
    realm: 'https://auth.docker.io/token',
    service: 'registry.docker.io',
    scope: 'repository:a/b:pull,push',
    error: 'x "y"',
  })
  assert.deepEqual(
    parseChallenges('Negotiate, Basic realm="it"').map(({ scheme }) => scheme),
    ['basic'],
  )
  assert.deepEqual(parseChallenges(undefined), [])
})

test('endpointsOf speaks TLS except to loopback and what was configured', () => {
  const options = {
    ...DEFAULT_REGISTRY_OPTIONS,
    mirrors: ['https://mirror.example'],
    insecure: ['reg.lan:5000', '10.0.0.0/8', 'fd00::/8'],
  }
  const seen = (domain: string, push = false): string[] =>
    endpointsOf(domain, options, push).map(
      ({ base, insecure }) => `${base.origin}${insecure ? ' insecure' : ''}`,
    )
  assert.deepEqual(seen('docker.io'), ['https://mirror.example', 'https://registry-1.docker.io'])
  assert.deepEqual(seen('docker.io', true), ['https://registry-1.docker.io'])
  assert.deepEqual(seen('ghcr.io'), ['https://ghcr.io'])
  assert.deepEqual(seen('127.0.0.1:5000'), [
    'http://127.0.0.1:5000 insecure',
    'https://127.0.0.1:5000 insecure',
  ])
  assert.deepEqual(seen('reg.lan:5000'), ['https://reg.lan:5000 insecure', 'http://reg.lan:5000 insecure'])
  assert.deepEqual(seen('10.1.2.3')[0], 'https://10.1.2.3 insecure')
  assert.deepEqual(seen('[fd00::1]:5000')[0], 'https://[fd00::1]:5000 insecure')
  assert.deepEqual(seen('11.1.2.3'), ['https://11.1.2.3'])
})
