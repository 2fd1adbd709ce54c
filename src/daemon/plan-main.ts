/** The program behind `dewar plan`: {body, image} as JSON on standard input, the plan on standard output. */
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { DewarError, messageOf } from '../base/errors.ts'
import { readHostFacts } from '../engine/host-facts.ts'
import { delegatedGroup, readCgroups, runsSystemd } from '../kernel/cgroup.ts'
import { holdsCapability } from '../kernel/capabilities.ts'
import { describePlan } from '../kernel/describe.ts'
import type { Plan } from '../kernel/plan.ts'
import { machineArch } from '../kernel/seccomp.ts'
import { planFor } from './plan.ts'

const REQUEST = z.object({
  body: z.unknown(),
  image: z.object({ config: z.unknown().optional(), layers: z.number().int().min(1) }).optional(),
})

async function main(argv: readonly string[]): Promise<number> {
  try {
    const request = REQUEST.parse(JSON.parse(await text(process.stdin)))
    const arch = machineArch(process.arch)
    if (arch === undefined)
      throw new DewarError('unavailable', `Planning failed: no system call tables for ${process.arch}`)
    const layout = await readCgroups()
    const machine = {
      arch,
      kernel: release(),
      layout: runsSystemd(layout) ? { ...layout, base: delegatedGroup('ENGINE') } : layout,
      overlayByFd: kernelAtLeast(release(), 6, 15),
      kcore: existsSync('/proc/kcore'),
      raisesLimits: await holdsCapability('CAP_SYS_RESOURCE'),
    }
    const plan = planFor({ body: request.body, image: request.image }, machine, await readHostFacts())
    process.stdout.write(argv.includes('--json') ? json(plan) : `${describePlan(plan).join('\n')}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    return error instanceof DewarError ? error.exitCode : 1
  }
}

/** Masks and limits as numbers where they fit, bytes as base64. */
function json(plan: Plan): string {
  const plain = (_key: string, value: unknown): unknown => {
    if (typeof value === 'bigint')
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
    return isBufferJson(value) ? Buffer.from(value.data).toString('base64') : value
  }
  return `${JSON.stringify(plan.steps, plain, 2)}\n`
}

/** A Buffer has become this by its own toJSON before the replacer sees it. */
function isBufferJson(
  value: unknown,
): value is { readonly type: 'Buffer'; readonly data: readonly number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'Buffer' &&
    'data' in value
  )
}

export function kernelAtLeast(text: string, major: number, minor: number): boolean {
  const [have = 0, next = 0] = text.split('.').map(Number)
  return have > major || (have === major && next >= minor)
}

process.exitCode = await main(process.argv.slice(2))
