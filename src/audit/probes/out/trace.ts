import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeCanary } from '../../canary.ts'
import { findProgram } from '../../host-command.ts'
import type { Probe } from '../../probe.ts'
import { PROGRAM } from '../../target.ts'
import { conclude, inconclusive } from '../../verdict.ts'

/** In a container of its own: a tracer slows those it traces down. */
export const traceExec: Probe = {
  id: 'O29',
  slug: 'out.trace.exec',
  direction: 'out',
  asset: 'argv, syscalls',
  observers: ['determined-root'],
  question: "Does a tracer on the host (strace, perf, bpf, audit) see what a container's processes execute?",
  method:
    "strace is attached to the container's processes while one of them executes a program with a random word.",
  references: ['T1057'],
  remedy: 'Only a level with an own kernel (gvisor, microvm) hides system calls.',
  interference: 'none',
  readOnly: false,
  async run({ create, guest: open, journal, signal }) {
    const strace = findProgram('strace')
    if (strace === undefined) return inconclusive('strace is not installed (install it)')
    const subject = await create()
    const guest = await open(subject)
    const canary = makeCanary('argv')
    const trace = join(journal.folder, `trace-${subject.name}`)
    const pids = (await subject.pids()).slice(0, 64).flatMap((pid) => ['-p', String(pid)])
    const child = spawn(strace, ['-f', '-s', '200', '-o', trace, ...pids], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    let over = false
    const ended = new Promise<void>((resolve) =>
      child.once('close', () => {
        over = true
        resolve()
      }),
    )
    // 'close' follows.
    child.once('error', (error) => (said += error.message))
    try {
      for (let tries = 0; !said.includes('attached') && !over && tries < 200; tries += 1)
        await sleep(25, undefined, { signal })
      const argv = Buffer.alloc(32)
      const done = await guest.fork([
        {
          name: 'execve',
          args: [
            { in: `${PROGRAM}\0` },
            {
              in: argv,
              pointers: [
                { at: 0, to: PROGRAM },
                { at: 8, to: 'audit-whoami' },
                { at: 16, to: canary.text },
              ],
            },
            0,
          ],
        },
      ])
      child.kill('SIGINT')
      await ended
      const traced = await readFile(trace, 'utf8').catch(() => '')
      const hits = traced.split('\n').filter((line) => line.includes(canary.text))
      return conclude({
        seen: hits.slice(0, 3).map((line) => ({ kind: 'syscall', text: line.slice(0, 160) })),
        controls: [
          { what: 'strace is attached', held: said.includes('attached') },
          { what: 'it sees system calls of the processes', held: traced.split('\n').length > 2 },
          { what: 'the program was executed inside', held: done.exit !== undefined },
        ],
        leak: 'A tracer on the host sees programs and arguments.',
        contained: 'The tracer sees the sandbox work, and not what is executed in it.',
      })
    } finally {
      child.kill('SIGKILL')
      await ended
    }
  },
}
