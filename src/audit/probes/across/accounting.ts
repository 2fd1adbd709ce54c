/** Work that a container has the host do for it, outside its limits: crash helpers, the audit log. */
import type { Probe } from '../../probe.ts'
import { absent, conclude } from '../../verdict.ts'
import { kernelOf } from '../in/inside.ts'
import { read } from './kernel.ts'
import { across } from './neighbours.ts'

export const coreHelper: Probe = {
  ...across,
  id: 'A18',
  slug: 'across.cpu.core-storm',
  asset: 'accounting',
  question: 'Does a crash inside start a helper on the host that no container pays for?',
  method:
    "The kernel's core_pattern is read: with a pipe, each crash runs a program outside all control groups.",
  references: ['Houdini 1'],
  remedy: 'Write core files instead of piping them: sysctl kernel.core_pattern=core, or --ulimit core=0.',
  interference: 'none',
  async run(context) {
    const pattern = read('/proc/sys/kernel/core_pattern') ?? ''
    if (!pattern.startsWith('|')) return absent(`core_pattern is "${pattern}": the kernel starts no helper`)
    const { guest } = await context.world()
    if (!(await kernelOf(guest)).shared) return absent('what crashes inside crashes in a kernel of its own')
    const limit = /^Max core file size\s+(\S+)/m.exec(
      (await guest.readFile('/proc/self/limits')).toString(),
    )?.[1]
    return conclude({
      // core(5): with a pipe the limit counts only when it is 1; 0 stops it from 2.6.24 on for files alone.
      seen: [
        { kind: 'value', text: `core_pattern "${pattern}" runs for crashes inside, limit ${limit ?? '?'}` },
      ],
      controls: [],
      leak: 'Each crash inside starts a program of the host, outside all limits.',
      contained: '',
    })
  },
}

const AF_NETLINK = 16
const NETLINK_AUDIT = 9
const AUDIT_USER = 1005

export const auditFlood: Probe = {
  ...across,
  id: 'A20',
  slug: 'across.audit.flood',
  asset: 'resources',
  question: "Can a container write into the host's audit log, and so flood it?",
  method: 'One message is sent to the audit subsystem; the kernel answers whether it took it.',
  references: ['Houdini 3'],
  remedy: 'Drop CAP_AUDIT_WRITE (--cap-drop AUDIT_WRITE), or use user namespaces.',
  interference: 'none',
  async run(context) {
    const { guest, subject } = await context.world()
    const message = Buffer.alloc(16 + 16)
    message.writeUInt32LE(message.length, 0)
    message.writeUInt16LE(AUDIT_USER, 4)
    message.writeUInt16LE(5, 6) // a request that wants an answer
    message.write('dewar audit', 16)
    const [socket, sent, answer] = await guest.inChild([
      { name: 'socket', args: [AF_NETLINK, 3, NETLINK_AUDIT], ends: true },
      {
        name: 'sendto',
        args: [{ result: 0 }, { in: message }, message.length, 0, { in: netlinkKernel() }, 12],
        ends: true,
      },
      { name: 'recvfrom', args: [{ result: 0 }, { out: 64, short: true }, 64, 0x40, 0, 0] },
    ])
    const refused = socket?.error || sent?.error || ''
    const code =
      answer?.out[0] !== undefined && answer.out[0].length >= 20 ? answer.out[0].readInt32LE(16) : undefined
    const taken = refused === '' && code === 0
    return conclude({
      seen: taken ? [{ kind: 'syscall', text: 'AUDIT_USER was taken by the kernel' }] : [],
      controls: [
        { what: 'the container runs', held: await subject.alive() },
        { what: 'the kernel answered', held: refused !== '' || code !== undefined },
      ],
      leak: "A container writes into the host's audit log.",
      contained: `The kernel refuses it: ${refused === '' ? `error ${-(code ?? 0)}` : refused}.`,
    })
  },
}

function netlinkKernel(): Buffer {
  const address = Buffer.alloc(12)
  address.writeUInt16LE(AF_NETLINK, 0)
  return address
}
