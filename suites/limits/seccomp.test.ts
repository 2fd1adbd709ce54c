/**
 * The compiled filter in the kernel: each closed call is first shown to be reached without the filter (any
 * answer but EPERM and ENOSYS), with arguments that can change nothing, then to be closed with it. In own
 * namespaces.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CAPABILITIES, DEFAULT_CAPABILITIES } from '../../src/kernel/capabilities.ts'
import { compileSeccomp } from '../../src/kernel/seccomp-compile.ts'
import { unpackFilter } from '../../src/kernel/seccomp-unpack.ts'
import { defaultSeccompFor, loadDockerProfile, machineArch, seccompFilter } from '../../src/kernel/seccomp.ts'
import { syscallNumbers } from '../../src/kernel/syscalls-table.ts'
import { compileC } from './compile-c.ts'

const skip =
  process.getuid?.() !== 0
    ? 'needs root for namespaces of its own'
    : process.arch !== 'x64'
      ? 'the calls are written for x86-64'
      : false
const folder = mkdtempSync(join(tmpdir(), 'dewar-seccomp-'))
after(() => rmSync(folder, { recursive: true }))
const program = skip ? '' : compileC('try-syscalls', folder)
const { EPERM, ENOSYS, EINVAL, EPROTONOSUPPORT } = constants.errno

function filterFile(name: string, filter: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, filter)
  return path
}
const arch = machineArch(process.arch) ?? 'x86_64'
const filterFor = (name: string, capabilities: readonly string[]) =>
  filterFile(name, seccompFilter(defaultSeccompFor({ arch, capabilities, kernel: release() }), arch).filter)

const inNamespaces = ['-mpnui', '--fork', '--mount-proc', '--kill-child']
function run(filter: string, args: readonly string[]): string {
  return execFileSync('unshare', [...inNamespaces, program, filter, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
const results = (filter: string, tries: readonly string[]) =>
  run(filter, tries).trim().split('\n').map(Number)

const BAD = '1' // an address that is never mapped
const X86 = (name: string, ...args: string[]) => ['64', syscallNumbers('x86_64').get(name), ...args].join(':')
const I386 = (name: string, ...args: string[]) => ['32', syscallNumbers('i386').get(name), ...args].join(':')

/** Each is refused by the kernel itself for its arguments, before it does anything. */
const CLOSED: [name: string, call: string][] = [
  ['mount', X86('mount', BAD, BAD, BAD)],
  ['umount2', X86('umount2', BAD, '0xffffffff')],
  ['pivot_root', X86('pivot_root', BAD, BAD)],
  ['open_tree', X86('open_tree', '-1', BAD, '0')],
  ['move_mount', X86('move_mount', '-1', BAD, '-1', BAD, '0xffffffff')],
  ['fsopen', X86('fsopen', BAD, '0')],
  ['fsmount', X86('fsmount', '-1', '0xffff', '0')],
  ['fspick', X86('fspick', '-1', BAD, '0xffff')],
  ['mount_setattr', X86('mount_setattr', '-1', BAD, '0xffffffff', BAD, '0')],
  ['setns', X86('setns', '-1', '0')],
  ['unshare', X86('unshare', '0x1')],
  ['clone with a user namespace', X86('clone', '0x10000200')],
  ['clone with a mount namespace', X86('clone', '0x20200')],
  ['bpf', X86('bpf', '999', '0', '0')],
  ['perf_event_open', X86('perf_event_open', BAD, '0', '-1', '-1', '0')],
  ['userfaultfd', X86('userfaultfd', '0xffff')],
  ['io_uring_setup', X86('io_uring_setup', '0', BAD)],
  ['io_uring_enter', X86('io_uring_enter', '-1')],
  ['io_uring_register', X86('io_uring_register', '-1', '0xffff')],
  ['add_key', X86('add_key', BAD, BAD)],
  ['request_key', X86('request_key', BAD, BAD)],
  ['keyctl', X86('keyctl', '999')],
  ['kexec_load', X86('kexec_load', '0', '99999', BAD, '0')],
  ['kexec_file_load', X86('kexec_file_load', '-1', '-1', '0', '0', '0xffff')],
  ['init_module', X86('init_module', BAD, '64', BAD)],
  ['finit_module', X86('finit_module', '-1', BAD, '0xffff')],
  ['delete_module', X86('delete_module', BAD)],
  ['acct', X86('acct', BAD)],
  ['swapon', X86('swapon', BAD)],
  ['swapoff', X86('swapoff', BAD)],
  ['settimeofday', X86('settimeofday', BAD, '0')],
  ['clock_settime', X86('clock_settime', '0', BAD)],
  ['iopl', X86('iopl', '4')],
  ['ioperm', X86('ioperm', '0xffffffff', '1', '1')],
  ['reboot', X86('reboot', '0', '0', '0', '0')],
  ['syslog', X86('syslog', '99')],
  ['quotactl', X86('quotactl', '-1', BAD, '0', BAD)],
  ['open_by_handle_at', X86('open_by_handle_at', '-1', BAD, '0')],
  ['fanotify_init', X86('fanotify_init', '0xffffffff', '0')],
  ['kcmp', X86('kcmp', '1', '1', '99')],
  ['pidfd_getfd', X86('pidfd_getfd', '-1', '0', '1')],
  ['process_madvise', X86('process_madvise', '-1', '0', '0', '0', '1')],
  ['move_pages', X86('move_pages', '0', '1', BAD, BAD, BAD, '0xff')],
  ['set_mempolicy', X86('set_mempolicy', '999')],
  ['mbind', X86('mbind', '1', '1', '999')],
  ['get_mempolicy', X86('get_mempolicy', '0', '0', '0', '0', '0xff')],
  ['sethostname', X86('sethostname', BAD, '-1')],
  ['setdomainname', X86('setdomainname', BAD, '-1')],
  ['chroot', X86('chroot', BAD)],
  ['personality with other bits', X86('personality', '0x0400000')],
  ['socket AF_ALG', X86('socket', '38', '5', '0')],
  ['socket AF_VSOCK', X86('socket', '40', '99', '0')],
  ['socket AF_ALG with high bits', X86('socket', '0x100000026', '5', '0')],
  ['socket AF_VSOCK with high bits', X86('socket', '0x100000028', '99', '0')],
  ['netlink XFRM', X86('socket', '16', '3', '6')],
  ['netlink NETFILTER', X86('socket', '16', '3', '12')],
  ['netlink ISCSI', X86('socket', '16', '3', '8')],
  ['netlink CONNECTOR', X86('socket', '16', '3', '11')],
  ['netlink CRYPTO', X86('socket', '16', '3', '21')],
  ['netlink XFRM with high bits', X86('socket', '0x100000010', '3', '0x100000006')],
  ['i386 netlink XFRM', I386('socket', '16', '3', '6')],
  ['i386 mount', I386('mount', BAD, BAD, BAD)],
  ['i386 keyctl', I386('keyctl', '999')],
  ['i386 bpf', I386('bpf', '999', '0', '0')],
  ['i386 io_uring_setup', I386('io_uring_setup', '0', BAD)],
  ['i386 unshare', I386('unshare', '0x1')],
  ['i386 socketcall(SYS_SOCKET)', I386('socketcall', '1', BAD)],
  ['i386 socket AF_ALG', I386('socket', '38', '5', '0')],
]

test('the default filter closes each call that is reached without it', { skip }, (t) => {
  const calls = CLOSED.map(([, call]) => call)
  const open = results('-', calls)
  const closed = results(filterFor('none', []), calls)
  const absent = CLOSED.filter((_, i) => open[i] === -ENOSYS).map(([name]) => name)
  if (absent.length > 0) t.diagnostic(`this kernel is built without ${absent.join(', ')}`)
  for (const [i, [name]] of CLOSED.entries()) {
    assert.notEqual(open[i], -EPERM, `${name} is not reached without the filter`)
    assert.equal(closed[i], -EPERM, `${name} is reached through the filter`)
  }
  assert.ok(CLOSED.length - absent.length > 45)
})

test(
  'the default filter opens netlink where names and addresses are asked for, and the audit is as if there were none',
  { skip },
  () => {
    const tries = [0, 4, 9, 15, 16].map((protocol) => X86('socket', '16', '3', String(protocol)))
    for (const answer of results('-', tries)) assert.ok(answer >= 0, `${answer} without the filter`)
    const filtered = results(filterFor('usual', DEFAULT_CAPABILITIES), tries)
    assert.equal(filtered[2], -EPROTONOSUPPORT)
    assert.equal(filtered.filter((answer) => answer >= 0).length, 4, filtered.join())
  },
)

test('the default filter answers ENOSYS for clone3, unknown numbers and x32', { skip }, () => {
  const tries = [X86('clone3', '0', '0'), '64:400', '64:9999', '32:9999', `64:${0x40000000 + 39}`]
  assert.deepEqual(results(filterFor('none', []), [...tries.slice(0, 4)]), [
    -ENOSYS,
    -ENOSYS,
    -ENOSYS,
    -ENOSYS,
  ])
  assert.equal(results('-', [X86('clone3', '0', '0')])[0], -EINVAL)
})

test(
  'the default filter opens with capabilities what belongs to them, and keyrings and io_uring never',
  { skip },
  () => {
    const filter = filterFor('all', CAPABILITIES)
    const still = [
      'pivot_root',
      'userfaultfd',
      'io_uring_setup',
      'io_uring_enter',
      'io_uring_register',
      'add_key',
      'request_key',
      'keyctl',
      'kexec_load',
      'kexec_file_load',
      'swapon',
      'swapoff',
      'move_pages',
    ]
    const answers = results(
      filter,
      CLOSED.map(([, call]) => call),
    )
    for (const [i, [name]] of CLOSED.entries()) {
      const closed = still.includes(name) || /socket|personality|high bits|i386 (keyctl|io_uring)/.test(name)
      assert.equal(answers[i] === -EPERM, closed, `${name}: ${answers[i]}`)
    }
  },
)

test(
  'a bound above is what keeps AF_VSOCK closed: "greater than" lets it in with high bits',
  { skip },
  () => {
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['socket'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 40, op: 'SCMP_CMP_EQ' }] },
      ],
    }
    const policy = loadDockerProfile(JSON.stringify(profile), { arch, capabilities: [], kernel: release() })
    const naive = filterFile('naive', compileSeccomp(policy, arch).filter)
    const tries = [X86('socket', '40', '99', '0'), X86('socket', '0x100000028', '99', '0')]
    const [plain, high] = results(naive, tries)
    assert.equal(plain, -EPERM)
    assert.notEqual(high, -EPERM)
    assert.deepEqual(results(filterFor('none', []), tries), [-EPERM, -EPERM])
  },
)

test(
  'programs work under the default filter: a shell with pipes, node with threads and sockets',
  { skip },
  () => {
    const filter = filterFor('default', DEFAULT_CAPABILITIES)
    assert.equal(
      run(filter, ['exec', '/bin/sh', '-c', 'ls / | sort | head -1; (exit 3); echo $?'])
        .trim()
        .split('\n')
        .at(-1),
      '3',
    )
    const script = `const{Worker}=require('worker_threads');const s=require('net').createServer(()=>{}).listen(0,()=>{
    new Worker('require("worker_threads").parentPort.postMessage(6*7)',{eval:true}).on('message',(m)=>{console.log(m);s.close()})})`
    assert.equal(run(filter, ['exec', process.execPath, '-e', script]).trim(), '42')
  },
)

test('a profile with all actions does in the kernel what it says', { skip }, () => {
  const one = (names: string[], action: string, more: object = {}) => ({ names, action, ...more })
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      one(['getppid'], 'SCMP_ACT_ERRNO', { errnoRet: 71 }),
      one(['getuid'], 'SCMP_ACT_LOG'),
      one(['getgid'], 'SCMP_ACT_TRACE', { errnoRet: 1 }),
      one(['geteuid'], 'SCMP_ACT_KILL_PROCESS'),
      one(['getegid'], 'SCMP_ACT_TRAP'),
      one(['getsid'], 'SCMP_ACT_KILL'),
      one(['umask'], 'SCMP_ACT_ERRNO', {
        errnoRet: 5,
        args: [{ index: 0, value: 0o70, valueTwo: 0o50, op: 'SCMP_CMP_MASKED_EQ' }],
      }),
    ],
  }
  const filter = filterFile(
    'actions',
    compileSeccomp(
      loadDockerProfile(JSON.stringify(profile), { arch, capabilities: [], kernel: release() }),
      arch,
    ).filter,
  )
  assert.deepEqual(results(filter, [X86('getppid'), X86('getuid'), X86('getgid')]), [-71, 0, -ENOSYS])
  assert.deepEqual(
    results(filter, [X86('umask', '0o57'.replace('0o', '0')), X86('umask', '022'), X86('umask', '022')]),
    [-5, 0o22, 0o22],
  )
  for (const name of ['geteuid', 'getegid', 'getsid']) {
    assert.throws(
      () => execFileSync(program, [filter, X86(name)], { stdio: 'pipe' }),
      { signal: 'SIGSYS' },
      name,
    )
  }
})

test('unpackFilter closes processes and sockets in the kernel, and kills 32-bit entry', { skip }, () => {
  const filter = filterFile('unpack', unpackFilter(arch).filter)
  const tries = [
    X86('socket', '2', '1', '0'),
    X86('execve', BAD, BAD, BAD),
    X86('clone', '0x20200'),
    X86('mkdirat', '-1', BAD, '0'),
    X86('mmap', '0', '4096', '7', '0x22', '-1', '0'),
  ]
  const open = results('-', tries)
  const closed = results(filter, tries)
  assert.ok(open.every((value) => value !== -EPERM))
  assert.deepEqual(
    closed.map((value) => value === -EPERM),
    [true, true, true, false, true],
  )
  assert.throws(() => execFileSync(program, [filter, I386('getpid')], { stdio: 'pipe' }), {
    signal: 'SIGSYS',
  })
})
