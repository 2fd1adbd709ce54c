/** Which files are looked at: everything readable below /proc and /sys, but what blocks, acts or is the reader's own. */
import { GuestError } from '../guest-error.ts'
import type { Guest } from '../guest-types.ts'

const ROOTS = ['/proc', '/sys']
/** Processes are the reader's own namespace's; control groups its own; debugging files act when read. */
const LEFT_OUT =
  /^\/proc\/(?:\d+|self|thread-self|sysvipc)$|^\/sys\/(?:kernel\/(?:debug|tracing|security)|fs\/(?:cgroup|bpf|pstore|selinux))$/
/** They block, empty a queue, or touch a device (PCI roms, resources, vital product data). */
const ACTING =
  /\/(?:kmsg|trace_pipe|rom|resource\d*(?:_wc)?|vpd|eeprom|nvram|new_id|clear_refs|sysrq-trigger|autoprobe.*|kcore)$/
/** A machine with 2 CPUs has 2,500 folders and 20,000 files; these bound a hostile or broken tree. */
const MOST_FOLDERS = 100_000
const MOST_FILES = 400_000
const MOST_DEPTH = 40

export interface Walk {
  readonly files: readonly string[]
  /** A limit ended it before everything was seen. */
  readonly cut: boolean
}

/** Regular files below the roots, links not followed; breadth first, so that a limit cuts the deepest. */
export async function walk(guest: Guest, signal: AbortSignal): Promise<Walk> {
  const files: string[] = []
  let folders = [...ROOTS]
  let visited = 0
  for (let depth = 0; depth < MOST_DEPTH && folders.length > 0; depth += 1) {
    const next: string[] = []
    for (const folder of folders) {
      signal.throwIfAborted()
      if ((visited += 1) > MOST_FOLDERS || files.length > MOST_FILES) return { files, cut: true }
      for (const { name, type } of await entriesOf(guest, folder)) {
        const path = `${folder}/${name}`
        if (LEFT_OUT.test(path) || ACTING.test(path)) continue
        if (type === 'directory') next.push(path)
        if (type === 'file') files.push(path)
      }
    }
    folders = next
  }
  return { files, cut: folders.length > 0 }
}

async function entriesOf(guest: Guest, folder: string): ReturnType<Guest['listFolder']> {
  try {
    return await guest.listFolder(folder)
  } catch (error) {
    if (error instanceof GuestError && !['GONE', 'TIMEOUT', 'EPROTO'].includes(error.error)) return []
    throw error
  }
}

/** What the catalogue knows already: path, probes. The discoverer itself never reads it. */
const KNOWN: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^\/proc\/sys\/kernel\/random\/boot_id$/, ['I01']],
  [/^\/proc\/cmdline$/, ['I03']],
  [/^\/proc\/meminfo$/, ['I04', 'I09']],
  [/^\/proc\/cpuinfo$|^\/sys\/devices\/system\/cpu\/(?:online|possible|present)$/, ['I05', 'I10']],
  [/^\/proc\/(?:loadavg|uptime|pressure\/.*)$/, ['I07']],
  [/^\/proc\/(?:stat|softirqs|interrupts|schedstat)$/, ['I08']],
  [/^\/proc\/(?:vmstat|zoneinfo|buddyinfo|pagetypeinfo)$|^\/sys\/devices\/system\/node\/node\d+\//, ['I09']],
  [/^\/proc\/(?:version|config\.gz)$|^\/proc\/sys\/kernel\/(?:version|osrelease)$/, ['I10']],
  [/^\/proc\/sys\/fs\/(?:file-nr|inode-nr|inode-state|dentry-state|aio-nr)$/, ['I11']],
  [/^\/proc\/(?:keys|key-users)$/, ['I14']],
  [/^\/proc\/(?:kallsyms|modules|kpage\w+|kcore)$|^\/sys\/kernel\/notes$/, ['I15']],
  [
    /^\/proc\/(?:partitions|diskstats|swaps)$|^\/sys\/(?:block|class\/block|fs\/ext4)|^\/proc\/fs\/(?:ext4|jbd2)/,
    ['I16'],
  ],
  [/powercap|thermal|hwmon/, ['I17']],
  [/^\/proc\/sys\/kernel\/(?:hostname|domainname)$/, ['I57']],
]

export function knownProbes(path: string): readonly string[] {
  return KNOWN.find(([pattern]) => pattern.test(path))?.[1] ?? []
}
