import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonical, familiarReference, parseReference, withDefaultTag } from './reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

test('parseReference resolves names as Docker does', () => {
  const cases: Readonly<Record<string, string>> = {
    nginx: 'docker.io/library/nginx:latest',
    'nginx:1.27': 'docker.io/library/nginx:1.27',
    'user/app': 'docker.io/user/app:latest',
    'docker.io/nginx': 'docker.io/library/nginx:latest',
    'index.docker.io/nginx': 'docker.io/library/nginx:latest',
    'localhost/app': 'localhost/app:latest',
    'localhost:5000/app': 'localhost:5000/app:latest',
    'ghcr.io/a/b/c:x_Y.z-1': 'ghcr.io/a/b/c:x_Y.z-1',
    '[::1]:5000/app': '[::1]:5000/app:latest',
    'HOST/app': 'HOST/app:latest',
    'a__b/c-d.e': 'docker.io/a__b/c-d.e:latest',
    [`nginx@${DIGEST}`]: `docker.io/library/nginx@${DIGEST}`,
    [`nginx:1@${DIGEST}`]: `docker.io/library/nginx:1@${DIGEST}`,
  }
  for (const [text, full] of Object.entries(cases)) {
    assert.equal(canonical(withDefaultTag(parseReference(text))), full, text)
  }
})

test('familiarReference shows names as people write them', () => {
  for (const name of ['nginx:1', 'user/app:2', 'localhost:5000/app:3', `ghcr.io/a/b@${DIGEST}`]) {
    assert.equal(familiarReference(parseReference(name)), name)
  }
  assert.equal(familiarReference(parseReference('docker.io/library/nginx:1')), 'nginx:1')
})

test('parseReference refuses what Docker refuses, in its words', () => {
  const cases: Readonly<Record<string, RegExp>> = {
    '': /^invalid reference format$/,
    Nginx: /^invalid reference format: repository name \(library\/Nginx\) must be lowercase$/,
    'a//b': /^invalid reference format$/,
    'a:b:c': /^invalid reference format$/,
    '/a': /^invalid reference format$/,
    'a/': /^invalid reference format$/,
    '-a': /^invalid reference format$/,
    'a..b': /^invalid reference format$/,
    '../a': /^invalid reference format$/,
    'a:': /^invalid reference format$/,
    'a@sha256:abc': /^invalid checksum digest length$/,
    'a@md5:abc': /^invalid reference format$/,
    ['f'.repeat(64)]: /cannot specify 64-byte hexadecimal strings$/,
    ['a/'.repeat(130) + 'b']: /must not be more than 255 characters$/,
    [`a:${'t'.repeat(129)}`]: /^invalid reference format$/,
  }
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => parseReference(text), { code: 'invalid-argument', message }, text)
  }
})
