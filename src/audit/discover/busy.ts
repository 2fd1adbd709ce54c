/** What the host does while the guest is read: processes, memory, open files, traffic in a network of its own, a disk. */
import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openGuest } from '../guest.ts'
import { internetAddress } from '../guest-files.ts'
import { processOfChild } from '../guest-process.ts'
import { hostCommand } from '../host-command.ts'
import { openMany } from '../open-many.ts'

const PROCESSES = 1500
const MEBIBYTES = 96
/** Many, so that what others open and close meanwhile is little beside it. */
const FILES = 6000
const PACKETS = 4000
const DISK_MEBIBYTES = 16

/** Bounded; what it holds is let go of when the answer is called. `folder` is for a file without a name. */
export async function makeBusy(program: string, folder: string): Promise<() => void> {
  const files = openMany(FILES)
  let memory: Buffer | undefined = Buffer.allocUnsafeSlow(MEBIBYTES << 20).fill(1)
  await Promise.all([startProcesses(), sendPackets(program), writeDisk(folder)])
  return () => {
    for (const file of files) closeSync(file)
    memory = memory?.subarray(0, 0)
  }
}

async function startProcesses(): Promise<void> {
  await hostCommand(['sh', '-c', `i=0; while [ $i -lt ${PROCESSES} ]; do (:); i=$((i+1)); done`])
}

async function sendPackets(program: string): Promise<void> {
  const script = 'ip link set lo up; exec "$0" audit-guest'
  const child = spawn('unshare', ['--net', '--pid', '--fork', '--kill-child', 'sh', '-c', script, program])
  await using guest = await openGuest(processOfChild(child))
  const { value: socket } = await guest.syscall('socket', 2, 2, 0)
  const to = internetAddress('127.0.0.1', 9)
  const send = { name: 'sendto', args: [socket, { in: Buffer.from('x') }, 1, 0, { in: to }, to.length] }
  await guest.repeat([send], { times: PACKETS })
}

async function writeDisk(folder: string): Promise<void> {
  const path = join(folder, `busy-${process.pid}`)
  await using file = await open(path, 'wx')
  // Without a name from the start: a killed audit leaves nothing.
  await rm(path)
  await file.write(Buffer.alloc(DISK_MEBIBYTES << 20, 'busy'))
  await file.sync()
}
