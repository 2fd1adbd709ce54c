/** What a user of the host without any privilege gets at. */
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Guest } from '../../guest-types.ts'
import { searchAtRest } from '../../observers/at-rest.ts'
import { controlProcess } from '../../observers/control-process.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { ASSETS } from '../../world.ts'

const common = {
  direction: 'out',
  observers: ['unprivileged-user'],
  interference: 'none',
  readOnly: false,
} as const

export const unprivilegedStorage: Probe = {
  ...common,
  id: 'O17',
  slug: 'out.unpriv.storage',
  asset: 'file',
  question: "Can a user without privilege read a container's files in the engine's folders?",
  method:
    'Root finds where the random words lie; a fresh user tries to look at and read exactly these paths.',
  references: ['CVE-2021-41091', 'CVE-2021-41103', 'CVE-2024-25621', 'CWE-276'],
  remedy: "Set the mode of the engine's storage and run folders to 0700 (or 0711), and update the engine.",
  timeout: 90_000,
  async run(context) {
    const { subject, paths } = await context.world()
    const rest = await searchAtRest(context)
    const observer = await context.observer({ unprivileged: true })
    const control = join(context.journal.folder, 'open-to-all')
    writeFileSync(control, 'control')
    chmodSync(control, 0o644)
    const known = [...new Set(ASSETS.flatMap((asset) => rest.found.get(asset) ?? []))]
    const roots = (await subject.pids()).map((pid) => `/proc/${pid}/root${paths.file}`)
    const seen: Evidence[] = []
    for (const path of [...known, ...roots]) {
      const got = await lookAt(observer, path)
      if (got !== undefined) seen.push({ kind: 'path', text: `${path} (${got})` })
    }
    return conclude({
      seen,
      controls: [
        { what: 'root finds the words in files of the target', held: known.length > 0 },
        {
          what: 'the observer reads a file that is open to all',
          held: (await lookAt(observer, control)) === 'read',
        },
      ],
      leak: 'A user without privilege gets at what a container keeps.',
      contained: `${known.length} files that hold the words, and ${roots.length} ways through /proc, are closed to others.`,
    })
  },
}

/** Reading is more than seeing that it is there, which names and sizes tell. */
async function lookAt(observer: Guest, path: string): Promise<'read' | 'seen' | undefined> {
  if ((await observer.tryOpen(path)) === undefined) return 'read'
  return (await observer.stat(path).catch(() => undefined)) === undefined ? undefined : 'seen'
}

export const unprivilegedProcesses: Probe = {
  ...common,
  id: 'O19',
  slug: 'out.unpriv.ps-environ',
  asset: 'argv, env',
  question: "Can a user without privilege read a container's command line, environment or memory in /proc?",
  method:
    "A fresh user reads cmdline, environ and mem of each of the container's and the engine's processes.",
  references: ['CWE-214'],
  remedy: 'Mount /proc with hidepid=2, and pass secrets in files.',
  async run({ world, target, observer }) {
    const { canary, subject, guest } = await world()
    const user = await observer({ unprivileged: true })
    await using control = await controlProcess()
    const pids = [...new Set([...(await subject.pids()), ...(await target.enginePids())])]
    const seen: Evidence[] = []
    for (const pid of pids) {
      for (const [file, asset] of [
        ['cmdline', 'argv'],
        ['environ', 'env'],
      ] as const) {
        const content = await user.readFile(`/proc/${pid}/${file}`).catch(() => undefined)
        if (content?.includes(canary(asset).bytes) === true)
          seen.push({ kind: 'process', text: `/proc/${pid}/${file}` })
      }
      // Opening the mem of a process that has just ended succeeds, and gives nothing; maps has the same lock.
      const maps = await user.readFile(`/proc/${pid}/maps`).catch(() => undefined)
      if (maps !== undefined && maps.length > 0 && (await user.tryOpen(`/proc/${pid}/mem`)) === undefined)
        seen.push({ kind: 'process', text: `/proc/${pid}/mem can be opened` })
    }
    const own = await user.readFile(`/proc/${control.pid}/cmdline`).catch(() => Buffer.alloc(0))
    const inside = await guest.readFile('/proc/1/cmdline')
    return conclude({
      seen,
      controls: [
        { what: 'the word is in the command line inside', held: inside.includes(canary('argv').bytes) },
        {
          what: "the observer sees a control process's command line",
          held: own.includes(control.argv.bytes),
        },
      ],
      leak: 'A user without privilege reads it in /proc.',
      contained: `Nothing of ${pids.length} processes shows it to others.`,
    })
  },
}

export const unprivilegedApi: Probe = {
  ...common,
  id: 'O18',
  slug: 'out.unpriv.api',
  asset: 'control plane',
  question: 'Can a user without privilege speak with the engine, which is as good as being root?',
  method: "A fresh user connects to the engine's socket.",
  references: ['CWE-276', 'T1552.007'],
  remedy: 'Give the socket mode 0660 and put nobody into its group whom you would not give root.',
  async run({ target, observer, journal }) {
    if (target.socket === undefined) return absent('a bare runtime has no socket')
    const user = await observer({ unprivileged: true })
    const path = join(journal.folder, 'open.sock')
    const server = createServer((socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(path, resolve))
    chmodSync(path, 0o777)
    try {
      const [refused, control] = [
        await user.connect({ unix: target.socket }),
        await user.connect({ unix: path }),
      ]
      return conclude({
        seen: refused === undefined ? [{ kind: 'path', text: `${target.socket} accepts anybody` }] : [],
        controls: [
          { what: 'the observer connects to a socket that is open to all', held: control === undefined },
        ],
        leak: 'Any user of the host commands the engine.',
        contained: `${target.socket} refuses others (${refused}).`,
      })
    } finally {
      server.close()
    }
  },
}
