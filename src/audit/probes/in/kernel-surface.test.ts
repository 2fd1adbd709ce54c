import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorOf, isToldApart, reached } from './kernel-surface.ts'

test('reached tells a refusal from the kernel’s own answer to nonsense', () => {
  for (const error of ['', 'EFAULT', 'EINVAL', 'EBADF', 'EOPNOTSUPP']) assert.ok(reached(error), error)
  for (const error of ['EPERM', 'ENOSYS', 'EACCES', 'SIGSYS']) assert.ok(!reached(error), error)
})

test('isToldApart asks nothing that the host itself is refused, or that its kernel has not', () => {
  assert.ok(isToldApart('EFAULT'))
  // keyctl(2) answers so to an operation that it does not know.
  assert.ok(isToldApart('EOPNOTSUPP'))
  assert.ok(!isToldApart('EPERM'), 'a refusal inside would prove nothing')
  assert.ok(!isToldApart('EAFNOSUPPORT'))
})

test('errorOf takes no call for answered that did not come back', () => {
  const answer = (error: string) => ({ value: -1n, errno: -1, error, out: [] })
  for (const error of ['TIMEOUT', 'NOT-MADE', 'SIGKILL'])
    assert.throws(() => errorOf(answer(error)), /was not answered/, error)
  assert.throws(() => errorOf(undefined), /was not answered/)
  // A filter's own way to refuse.
  assert.equal(errorOf(answer('SIGSYS')), 'SIGSYS')
  assert.equal(errorOf(answer('EPERM')), 'EPERM')
})
