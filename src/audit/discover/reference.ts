/**
 * What another machine says in its /proc and /sys: what is equal there too is a constant of a kernel or a kind of machine,
 * and tells nobody which machine this is. Only digests are kept, so that a reference gives nothing of its machine away.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { basename } from 'node:path'
import { z } from 'zod'
import { DewarError, messageOf } from '../../base/errors.ts'
import { openGuest } from '../guest.ts'
import { processOfChild } from '../guest-process.ts'
import type { Guest } from '../guest-types.ts'
import { tellsMachinesApart } from './judge.ts'
import { walk } from './paths.ts'
import { piecesOf, readMany } from './read.ts'

const SCHEMA = 'https://dewar.dev/schemas/audit-reference-1.json'

const reference = z.object({
  schema: z.literal(SCHEMA),
  /** Of the machine it was recorded on. */
  kernel: z.string(),
  recordedAt: z.string(),
  /** Digest of what names the machine: a reference of this one would hide what is to be found. */
  machine: z.string(),
  contents: z.array(z.string()),
})

export type Reference = z.infer<typeof reference>

/** The program on the host's side, in a PID namespace of its own, since it refuses to run in the first one. */
export function openHost(program: string): Promise<Guest> {
  const tool = spawn('unshare', ['--pid', '--fork', '--kill-child', program, 'audit-guest'])
  return openGuest(processOfChild(tool))
}

/** Reads this machine's files once. */
export async function recordReference(program: string, signal: AbortSignal): Promise<Reference> {
  await using host = await openHost(program)
  const { files } = await walk(host, signal)
  const contents = new Set<string>()
  const blocking = new Set<string>()
  for (const some of piecesOf(files)) {
    signal.throwIfAborted()
    for (const [path, content] of await readMany(host, some, blocking))
      if (tellsMachinesApart(content)) contents.add(digestOf(path, content))
  }
  return {
    schema: SCHEMA,
    kernel: release(),
    recordedAt: new Date().toISOString(),
    machine: await machineDigest(),
    contents: [...contents].sort(),
  }
}

/** Throws DewarError that names the file and what is wrong with it. */
export async function parseReference(text: string, file: string): Promise<Reference> {
  const refuse = (why: string): never => {
    throw new DewarError('invalid-argument', `reading ${file}: ${why}`, {
      remedy: 'record it on another machine: dewar audit reference > FILE',
    })
  }
  const found = reference.safeParse(json(text, refuse))
  if (!found.success)
    return refuse(`it is no reference: ${found.error.issues[0]?.message ?? 'its shape is wrong'}`)
  if (found.data.machine === (await machineDigest()))
    return refuse('it was recorded on this machine, and would hide all that tells it from others')
  return found.data
}

function json(text: string, refuse: (why: string) => never): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return refuse(`it is no JSON: ${messageOf(error)}`)
  }
}

export function isConstant(known: ReadonlySet<string>, path: string, content: string): boolean {
  return known.has(digestOf(path, content))
}

/** By the name of the file: the same device sits elsewhere in another machine's tree. */
function digestOf(path: string, content: string): string {
  return createHash('sha256')
    .update(`${basename(path)}\0${content}`)
    .digest('hex')
    .slice(0, 20)
}

/** Of the id of the installation, which outlives a restart; else of this start. */
async function machineDigest(): Promise<string> {
  const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
  const name = (await read('/etc/machine-id')) || (await read('/proc/sys/kernel/random/boot_id'))
  return createHash('sha256').update(name).digest('hex').slice(0, 20)
}
