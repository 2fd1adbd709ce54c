/** Equal pages that the kernel makes one (KSM): who writes to one waits for a copy, and so learns that another has it. */
import { randomBytes } from 'node:crypto'
import type { Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Subject } from '../../target.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { read } from './kernel.ts'
import { across, neighbours } from './neighbours.ts'

const PAGE = 4096
const PAGES = 64
const MADV_MERGEABLE = 12
const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
/** ms: ksmd looks at each page three times and sleeps between, by default 100 pages in 20 ms. */
const PATIENCE = 20_000

/** Pages that the guest asks the kernel to merge; the name of the error, '' when it took them. */
async function offer(guest: Guest, bytes: Buffer, path: string): Promise<string> {
  await guest.writeFile(path, bytes)
  const answers = await guest.batch([
    { name: 'openat', args: [-100, { in: `${path}\0` }, 0], ends: true },
    { name: 'mmap', args: [0, bytes.length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0], ends: true },
    { name: 'read', args: [{ result: 0 }, { result: 1 }, bytes.length], ends: true },
    { name: 'madvise', args: [{ result: 1 }, bytes.length, MADV_MERGEABLE] },
    { name: 'close', args: [{ result: 0 }] },
  ])
  await guest.unlink(path)
  return answers.find(({ error }) => error !== '')?.error ?? ''
}

/** Pages of these processes that are one with a page elsewhere. */
function mergedOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(read(`/proc/${pid}/ksm_merging_pages`) ?? 0), 0)
}

async function whenMerged(count: () => Promise<number>, signal: AbortSignal): Promise<number> {
  const until = performance.now() + PATIENCE
  for (;;) {
    const merged = await count()
    if (merged >= PAGES || performance.now() > until || signal.aborted) return merged
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

const counted = async (subject: Subject): Promise<number> => mergedOf(await subject.pids())

/** No page of a container is like another of the same one: what is merged is so with the neighbour's. */
async function mergeAcross(context: ProbeContext): Promise<Finding> {
  const { victim, neighbour, inVictim, inNeighbour } = await neighbours(context)
  const twin = await context.create()
  const inTwin = await context.guest(twin)
  const path = `${WORK_FOLDER}/pages`
  const [shared, doubled] = [randomBytes(PAGES * PAGE), randomBytes((PAGES * PAGE) / 2)]
  const errors = [
    await offer(inVictim, shared, path),
    await offer(inNeighbour, shared, path),
    await offer(inTwin, Buffer.concat([doubled, doubled]), path),
  ]
  const both = (): Promise<number> =>
    Promise.all([counted(victim), counted(neighbour)]).then((counts) => Math.min(...counts))
  const merged = await whenMerged(both, context.signal)
  const own = await whenMerged(() => counted(twin), context.signal)
  const seen: Evidence[] =
    merged > 0
      ? [{ kind: 'value', text: `${merged} of ${PAGES} equal pages of two containers became one` }]
      : []
  return conclude({
    seen,
    controls: [
      { what: `equal pages within one container become one (${own} of ${PAGES})`, held: own > 0 },
      { what: 'the kernel took the pages', held: errors.every((error) => error === '') },
    ],
    leak: 'Containers that ask for it share equal pages, and the time of a write betrays who has which.',
    contained: 'Equal pages of two containers stay two.',
  })
}

export const mergedPages: Probe = {
  ...across,
  id: 'A30',
  slug: 'across.mem.dedup',
  asset: 'side channel',
  question: 'Does the kernel merge equal pages of different containers, which write times betray?',
  method: `The counts of merged pages of a container are read; where the kernel merges, two containers ask for it (madvise needs no privilege) with ${PAGES} equal random pages.`,
  references: ['CVE-2015-2877'],
  remedy: 'Switch kernel samepage merging off: echo 2 > /sys/kernel/mm/ksm/run.',
  interference: 'none',
  async run(context) {
    const on = read('/sys/kernel/mm/ksm/run')
    if (on === undefined) return absent('this kernel merges no pages')
    if (on === '1') return mergeAcross(context)
    const { subject } = await context.world()
    // Switched off by 0 it leaves what was merged before as it is.
    const merged = await counted(subject)
    return conclude({
      seen: merged > 0 ? [{ kind: 'value', text: `${merged} pages of the container are merged` }] : [],
      controls: [
        {
          what: 'the count of merged pages can be read',
          held: read('/proc/self/ksm_merging_pages') !== undefined,
        },
      ],
      leak: 'Pages of the container are merged with those of others.',
      contained: 'Merging is off.',
    })
  },
}
