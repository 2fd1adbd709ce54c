/**
 * Which parts of the host's kernel a guest's system calls reach. Nothing is done: pointers lead nowhere and flags are
 * invalid, so EFAULT, EINVAL or EBADF mean that the kernel's code was reached; EPERM, EACCES and ENOSYS that it was not.
 */
import type { Answer, Argument, Call, Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import { absent, conclude } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { insideProbe, kernelOf, sees } from './inside.ts'

const BAD = 8
const BLOCKED = new Set(['EPERM', 'ENOSYS', 'EACCES'])
/** The kernel has it not (for sockets: family, type or protocol). */
const LACKING = new Set(['ENOSYS', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'ENODEV'])

interface Question {
  readonly what: string
  readonly call: Call
}

function ask(what: string, name: string, ...args: readonly Argument[]): Question {
  return { what, call: { name, args } }
}

/** Each in a child of its own: a filter may kill for it. */
async function answers(guest: Guest, questions: readonly Question[]): Promise<readonly string[]> {
  const errors: string[] = []
  for (const { call } of questions) {
    const [answer] = await guest.inChild([call])
    errors.push(errorOf(answer))
  }
  return errors
}

/** What did not come back says nothing of what would have been answered. */
export function errorOf(answer: Answer | undefined): string {
  const error = answer?.error ?? 'NOT-MADE'
  if (['NOT-MADE', 'TIMEOUT', 'SIGKILL'].includes(error))
    throw new Error(`a call was not answered (${error})`)
  return error
}

interface Surface {
  readonly questions: readonly Question[]
  /** What counts as blocked beside EPERM and ENOSYS: for sockets, what lacking families answer. */
  readonly blocked?: readonly string[]
  readonly leak: string
}

export function reached(error: string, more: readonly string[] = []): boolean {
  return !BLOCKED.has(error) && !error.startsWith('SIG') && !more.includes(error)
}

/** By what the host was answered. */
export function isToldApart(onHost: string): boolean {
  return !LACKING.has(onHost) && reached(onHost)
}

async function judge(guest: Guest, host: Guest, surface: Surface): Promise<Finding> {
  const { questions, blocked = [], leak } = surface
  const kernel = await kernelOf(guest)
  const onHost = await answers(host, questions)
  const there = questions.filter((_question, index) => !LACKING.has(onHost[index] ?? ''))
  if (there.length === 0) return absent('the host’s kernel has none of it')
  // What the host itself is refused cannot be told from what the guest is.
  const possible = questions.filter((_question, index) => isToldApart(onHost[index] ?? ''))
  const inside = await answers(guest, possible)
  const open = possible.map((question, index) => ({ ...question, error: inside[index] ?? '' }))
  const through = open.filter(({ error }) => reached(error, blocked))
  return conclude({
    seen: kernel.shared
      ? through.map(({ what, error }) => ({
          kind: 'syscall',
          text: `${what}: ${error === '' ? 'worked' : `reached (${error})`}`,
        }))
      : [],
    controls: [
      await sees(guest),
      {
        what: `the host itself reaches ${possible.map(({ what }) => what).join(', ') || 'none of it'}`,
        held: possible.length > 0,
      },
    ],
    leak,
    contained: kernel.shared
      ? `Refused: ${open.map(({ what, error }) => `${what} ${error}`).join(', ')}.`
      : `Answered by a kernel of its own (${kernel.name}), not the host’s.`,
  })
}

type Words = Pick<Probe, 'id' | 'slug' | 'asset' | 'question' | 'references' | 'remedy'>

function surfaceProbe(words: Words, surface: Surface): Probe {
  const method = `In the guest and on the host: ${surface.questions.map(({ what }) => what).join(', ')}.`
  // The filter belongs to the container's own processes: one that merely joins it has none, so not readOnly.
  return insideProbe({ ...words, method, readOnly: false }, async ({ world, guest, observer }) =>
    judge(await guest((await world()).subject), await observer(), surface),
  )
}

const FILTER = 'Keep the engine’s seccomp profile and capabilities: no seccomp=unconfined, no --privileged.'
const SOCK_RAW = 3
const SOCK_DGRAM = 2
const SOCK_SEQPACKET = 5
const NEWUSER = 0x10000000
const NEWNS = 0x20000
/** A flag that unshare(2) does not know: EINVAL when it is reached. */
const INVALID_FLAG = 0x20

export const KERNEL_SURFACE: readonly Probe[] = [
  surfaceProbe(
    {
      id: 'I25',
      slug: 'in.sys.af_alg',
      asset: 'kernel surface',
      question: 'Can a guest open sockets to the kernel’s cryptography?',
      references: ['CVE-2026-31431', 'moby#52494'],
      remedy: 'Deny socket(AF_ALG) in the seccomp profile.',
    },
    {
      questions: [ask('socket(AF_ALG)', 'socket', 38, SOCK_SEQPACKET, 0)],
      blocked: ['EAFNOSUPPORT'],
      leak: 'The guest opens AF_ALG sockets of the host’s kernel.',
    },
  ),
  surfaceProbe(
    {
      id: 'I26',
      slug: 'in.sys.socket-families',
      asset: 'kernel surface',
      question: 'Can a guest open sockets of families that only administrators need?',
      references: ['CVE-2026-43284', 'CVE-2026-43500', 'CVE-2020-14386'],
      remedy:
        'Drop NET_RAW; deny AF_VSOCK, AF_KEY, AF_RXRPC, AF_SMC, AF_XDP and netlink families but ROUTE in the filter.',
    },
    {
      questions: [
        ask('AF_PACKET', 'socket', 17, SOCK_RAW, 0),
        ask('AF_VSOCK', 'socket', 40, 1, 0),
        ask('AF_KEY', 'socket', 15, SOCK_RAW, 2),
        ask('AF_RXRPC', 'socket', 33, SOCK_DGRAM, 2),
        ask('AF_SMC', 'socket', 43, 1, 0),
        ask('AF_XDP', 'socket', 44, SOCK_RAW, 0),
        ask('AF_TIPC', 'socket', 30, SOCK_SEQPACKET, 0),
        ask('NETLINK_XFRM', 'socket', 16, SOCK_RAW, 6),
        ask('NETLINK_AUDIT', 'socket', 16, SOCK_RAW, 9),
        ask('NETLINK_NETFILTER', 'socket', 16, SOCK_RAW, 12),
      ],
      blocked: ['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT'],
      leak: 'The guest opens sockets of families with a history of holes.',
    },
  ),
  surfaceProbe(
    {
      id: 'I27',
      slug: 'in.sys.namespaces',
      asset: 'kernel surface',
      question: 'Can a guest make namespaces and mounts, the way into most kernel holes?',
      references: ['CVE-2022-0185', 'CVE-2024-1086', 'T1611'],
      remedy: FILTER,
    },
    {
      questions: [
        ask('unshare(NEWUSER)', 'unshare', NEWUSER | INVALID_FLAG),
        ask('unshare(NEWNS)', 'unshare', NEWNS | INVALID_FLAG),
        ask('setns', 'setns', -1, 0),
        ask('mount', 'mount', BAD, BAD, BAD, 0, 0),
        ask('fsopen', 'fsopen', BAD, 0),
        ask('open_tree', 'open_tree', -1, BAD, 0),
        ask('move_mount', 'move_mount', -1, BAD, -1, BAD, 0),
        ask('pivot_root', 'pivot_root', BAD, BAD),
      ],
      leak: 'The guest reaches the kernel’s code for namespaces and mounts.',
    },
  ),
  surfaceProbe(
    {
      id: 'I28',
      slug: 'in.sys.uring-uffd',
      asset: 'kernel surface',
      question: 'Can a guest use io_uring or userfaultfd?',
      references: ['CVE-2023-2598', 'CVE-2024-0582'],
      remedy: 'Deny io_uring_* and userfaultfd in the seccomp profile (Docker does since 25).',
    },
    {
      questions: [
        ask('io_uring_setup', 'io_uring_setup', 1, BAD),
        ask('io_uring_enter', 'io_uring_enter', -1, 0, 0, 0, 0, 0),
        ask('userfaultfd', 'userfaultfd', 0x40000000),
      ],
      leak: 'The guest reaches io_uring or userfaultfd of the host’s kernel.',
    },
  ),
  surfaceProbe(
    {
      id: 'I29',
      slug: 'in.sys.bpf-perf-module',
      asset: 'kernel surface',
      question: 'Can a guest reach BPF, perf, modules, kexec, the kernel’s log, quotas or swap?',
      references: ['CVE-2021-3490', 'T1068'],
      remedy: FILTER,
    },
    {
      questions: [
        ask('bpf', 'bpf', 9999, BAD, 8),
        ask('perf_event_open', 'perf_event_open', BAD, 0, -1, -1, 0),
        ask('init_module', 'init_module', BAD, 8, BAD),
        ask('finit_module', 'finit_module', -1, BAD, 0),
        ask('delete_module', 'delete_module', BAD, 0),
        ask('kexec_load', 'kexec_load', 0, 99, BAD, 0xffff),
        ask('syslog', 'syslog', 3, BAD, -1),
        ask('quotactl', 'quotactl', 0, BAD, 0, 0),
        ask('swapon', 'swapon', BAD, 0),
        ask('acct', 'acct', BAD),
        ask('settimeofday', 'settimeofday', BAD, BAD),
        ask('keyctl', 'keyctl', 9999, 0, 0, 0, 0),
      ],
      leak: 'The guest reaches administrative calls of the host’s kernel.',
    },
  ),
]
