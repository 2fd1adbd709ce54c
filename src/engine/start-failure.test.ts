import { test } from 'node:test'
import assert from 'node:assert/strict'
import { DewarError } from '../base/errors.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { busyPort, execFailure, startFailure } from './start-failure.ts'

const failed = (op: string, errno: string, path = '') => new PlanFailed({ step: 1, op, errno, path })

test('startFailure tells the three ways a command cannot run, in runc’s words', () => {
  const cases: [PlanFailed, string, string, number, RegExp][] = [
    [
      failed('exec', 'ENOENT'),
      'x',
      'command-not-found',
      127,
      /exec: "x": executable file not found in \$PATH: unknown$/,
    ],
    [
      failed('exec', 'ENOENT'),
      '/x',
      'command-not-found',
      127,
      /exec: "\/x": stat \/x: no such file or directory: unknown$/,
    ],
    [failed('exec', 'EACCES'), '/x', 'command-not-executable', 126, /permission denied: unknown$/],
    [failed('exec', 'ENOEXEC'), '/x', 'command-not-executable', 126, /exec format error: unknown$/],
    [
      failed('chdir', 'ENOTDIR', '/w'),
      'x',
      'command-not-found',
      127,
      /chdir to cwd \("\/w"\).*not a directory/,
    ],
    [failed('fsmount', 'ENOSPC'), 'x', 'disk-full', 128, /fsmount/],
    [
      // Whatever step is said to have failed: it comes before the first.
      failed('rmdir', 'EDQUOT', 'session keyring'),
      'x',
      'system',
      128,
      /no room for a session keyring: unknown \(raise sysctl kernel\.keys\.root_maxkeys/,
    ],
    [
      failed('attach-mount', 'EINVAL', '/etc'),
      'x',
      'system',
      128,
      /mounting on \/etc .*a directory onto a file/,
    ],
    [failed('user', 'EINVAL', 'user 99999:0'), 'x', 'system', 128, /becoming user 99999:0 .*--userns=host/],
    [failed('mount-attr', 'EINVAL'), 'x', 'system', 128, /file system among the bind mounts.*--userns=host/],
    [
      failed('rlimit', 'EPERM', 'resource limit 7'),
      'x',
      'system',
      128,
      /error setting rlimit type 7: operation not permitted: unknown \(.*fs\.nr_open/,
    ],
    [
      failed('rlimit', 'EPERM', 'resource limit 8'),
      'x',
      'system',
      128,
      /error setting rlimit type 8: operation not permitted: unknown \(.*CAP_SYS_RESOURCE/,
    ],
    [
      failed('oom-score', 'EACCES', 'oom_score_adj'),
      'x',
      'system',
      128,
      /write oom_score_adj: permission denied: unknown \(.*CAP_SYS_RESOURCE/,
    ],
    [failed('mkdir', 'EROFS', '/a'), 'x', 'system', 128, /step 1 \(mkdir\) on \/a failed: EROFS/],
  ]
  for (const [cause, argv0, code, exit, message] of cases) {
    const { error, exitCode } = startFailure(cause, argv0)
    assert.deepEqual([error.code, exitCode], [code, exit], cause.message)
    assert.match(error.message, message)
  }
})

test('startFailure and execFailure have Go’s words for what execve(2) and chdir(2) answer, never a bare name', () => {
  const words = {
    E2BIG: 'argument list too long',
    EAGAIN: 'resource temporarily unavailable',
    EINVAL: 'invalid argument',
    EIO: 'input/output error',
    EMFILE: 'too many open files',
    ENOMEM: 'cannot allocate memory',
    ENOTCONN: 'transport endpoint is not connected',
    EOVERFLOW: 'value too large for defined data type',
    ESTALE: 'stale NFS file handle',
    ETXTBSY: 'text file busy',
    'errno 80': 'accessing a corrupted shared library',
    'errno 9999': 'errno 9999',
  }
  for (const [errno, said] of Object.entries(words)) {
    const { error, exitCode } = startFailure(failed('exec', errno), 'id')
    assert.ok(error.message.endsWith(`: exec: "id": ${said}: unknown`), error.message)
    assert.equal(exitCode, 126)
    assert.ok(execFailure(failed('exec', errno), '/id').error.message.endsWith(`: ${said}: unknown`))
    const chdir = execFailure(failed('chdir', errno, '/w'), 'id').error.message
    assert.ok(chdir.endsWith(`failed: ${said}: unknown`), chdir)
  }
  const told = (errno: string) => startFailure(failed('exec', errno), '/a/b').error.message
  assert.match(told('ELOOP'), /exec: "\/a\/b": stat \/a\/b: too many levels of symbolic links: unknown$/)
  assert.match(told('ENAMETOOLONG'), /stat \/a\/b: file name too long: unknown$/)
  assert.match(told('ENOTDIR'), /stat \/a\/b: not a directory: unknown$/)
})

test('startFailure hands an error of ours on unchanged and wraps others', () => {
  const own = new DewarError('conflict', 'taken')
  assert.equal(startFailure(own, 'x').error, own)
  assert.match(startFailure(new Error('odd'), 'x').error.message, /odd: unknown$/)
  assert.match(
    execFailure(failed('exec', 'ENOENT'), 'x').error.message,
    /^OCI runtime exec failed: exec failed: /,
  )
})

const port = {
  protocol: 'tcp',
  hostAddress: '0.0.0.0',
  hostPort: 8080,
  address: '10.0.0.2',
  port: 80,
} as const
const record = { network: { attachments: [], published: [port] } }

test('busyPort knows a port of somebody else by the step that failed', () => {
  assert.equal(busyPort(failed('reserve-port', 'EADDRINUSE', 'port 8080'), record), port)
  assert.equal(busyPort(failed('reserve-port', 'EADDRINUSE', 'port 9'), record), undefined)
  assert.equal(busyPort(failed('exec', 'EADDRINUSE', 'port 8080'), record), undefined)
  assert.equal(busyPort(new Error('no'), record), undefined)
})

test('execFailure gives 127 for a missing program and 126 for everything else', () => {
  assert.equal(execFailure(failed('exec', 'ENOENT'), 'x').exitCode, 127)
  assert.equal(execFailure(failed('fsmount', 'ENOSPC'), 'x').exitCode, 126)
  assert.equal(
    execFailure(new DewarError('invalid-argument', 'unable to find user nosuch'), 'x').exitCode,
    126,
  )
})
