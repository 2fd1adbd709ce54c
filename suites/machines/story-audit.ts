/** Told inside the machine: what the audit says of what this kernel has and most others have not. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { audit } from '../../src/audit/audit.ts'
import { PROBES } from '../../src/audit/probes/index.ts'
import { runArgumentsBody, splitWords } from '../../src/cli/run-arguments.ts'
import { begin, part, say, SOCKET } from './story.ts'

/**
 * Under emulation everything takes longer. It is for a run and for each probe; within them a guest has its usual 20 s for an
 * answer, and A30 its own 20 s until pages are merged.
 */
const PATIENCE = 600_000

async function judge(name: string, words: string, ...ids: readonly string[]): Promise<void> {
  part(name)
  const runArguments = splitWords(`--network=none ${words}`)
  const report = await audit({
    targets: [`dewar=${SOCKET}`],
    probes: PROBES.filter(({ id }) => ids.includes(id)).map((probe) => ({ ...probe, timeout: PATIENCE })),
    ...{ load: false, env: {}, version: 'test', runArguments, limit: PATIENCE },
    runBody: runArgumentsBody(runArguments),
    dewar: async () => SOCKET,
    program: '/opt/dewar/native/build/dewar-probe',
    signal: AbortSignal.timeout(PATIENCE),
    onEvent: () => undefined,
    journalFolder: '/var/journal',
  })
  for (const { missing } of report.targets) if (missing !== undefined) say(`FAILED ${missing.reason}`)
  for (const { probe, verdict, reason, evidence } of report.results)
    say(`${probe} ${verdict}: ${reason} ${evidence.map(({ text }) => text).join(' | ')}`)
  for (const left of report.leftovers) say(`FAILED ${left}`)
}

await begin()
execFileSync('modprobe', ['af_alg'])
const zones = readdirSync('/sys/class/thermal').filter((name) => name.startsWith('thermal_zone'))
part('machine')
say(`zones ${zones.map((zone) => readFileSync(`/sys/class/thermal/${zone}/temp`, 'utf8').trim()).join()}`)
say(`label ${readFileSync('/proc/self/attr/current', 'utf8').trim()}`)

const OPEN = '--security-opt seccomp=unconfined --security-opt systempaths=unconfined'
await judge('closed', '', 'I17', 'I24', 'I25', 'A18', 'A30')
writeFileSync('/proc/sys/kernel/core_pattern', '|/bin/true %p')
writeFileSync('/sys/kernel/mm/ksm/run', '1')
await judge('open', OPEN, 'I17', 'I25', 'A18', 'A30')
writeFileSync('/sys/kernel/mm/ksm/run', '2')
await judge('unmerged', '', 'A30')

// More than a reader takes who begins at the oldest.
for (let entry = 0; entry < 6000; entry += 1) appendFileSync('/dev/kmsg', `entry ${entry}\n`)
await judge('log', '--privileged', 'I13')
