/**
 * The static program on the host's side: as an everyday tool that a user of the host has (cat, tcpdump, nc). In a PID
 * namespace of its own, as it demands; it sees the host's files, /proc and network.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { guestArgv, processOfChild } from '../guest-process.ts'
import type { GuestProcess } from '../guest-types.ts'
import type { Journal } from '../journal.ts'
import { listPids } from '../processes.ts'
import { GUEST_ARGV } from '../target.ts'

export interface ToolOptions {
  /** As root when not given. */
  readonly uid?: number | undefined
  /** Of this process; the auditor's own when not given. */
  readonly networkOf?: number | undefined
  /** All namespaces of this process, which has the program in its image: `nsenter --all`. */
  readonly enter?: number | undefined
}

/** Ends with its input, so a killed audit leaves none behind. */
export async function startTool(
  journal: Journal,
  program: string,
  options: ToolOptions = {},
): Promise<GuestProcess> {
  if (options.enter !== undefined)
    return start(['nsenter', `--target=${options.enter}`, '--all', ...(await guestArgv())])
  const copy = join(journal.folder, 'tool')
  if (!existsSync(copy)) {
    await copyFile(program, copy)
    // An unprivileged observer must be able to execute it.
    await chmod(copy, 0o755)
  }
  const network =
    options.networkOf === undefined ? [] : ['nsenter', `--net=/proc/${options.networkOf}/ns/net`]
  const user =
    options.uid === undefined
      ? []
      : ['setpriv', `--reuid=${options.uid}`, `--regid=${options.uid}`, '--clear-groups', '--no-new-privs']
  const argv = [
    ...network,
    'unshare',
    '--fork',
    '--pid',
    '--kill-child',
    ...user,
    copy,
    ...GUEST_ARGV.slice(1),
  ]
  return start(argv)
}

function start(argv: readonly string[]): GuestProcess {
  const [program = '', ...rest] = argv
  return processOfChild(spawn(program, rest, { stdio: 'pipe', cwd: '/' }))
}

/** A uid that nobody has: no process, no line in /etc/passwd. */
export async function freshUid(): Promise<number> {
  const passwd = readFileSync('/etc/passwd', 'utf8')
  const used = new Set((await listPids()).map(uidOf))
  for (let uid = 59_000; uid < 60_000; uid += 1) {
    if (!used.has(uid) && !passwd.includes(`:${uid}:`)) return uid
  }
  throw new Error('choosing an unprivileged user failed: 59000 to 59999 are all taken')
}

function uidOf(pid: number): number {
  try {
    return Number(/^Uid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}
