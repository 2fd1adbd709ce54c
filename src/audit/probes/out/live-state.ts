/** What everyday root reaches through the processes of a container: their root, their namespaces, their open files. */
import { open, readFile, readdir, readlink } from 'node:fs/promises'
import { hostCommand } from '../../host-command.ts'
import { controlFile } from '../../observers/find.ts'
import { namesIn } from '../../observers/names-in.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'

const common = {
  direction: 'out',
  observers: ['host-root'],
  interference: 'none',
  readOnly: false,
} as const

export const rootWalk: Probe = {
  ...common,
  id: 'O03',
  slug: 'out.proc.root-walk',
  asset: 'file',
  question: "Does /proc/PID/root of a container's process open its files to the host's root?",
  method: 'For each process of the container, the folder of a random file is listed below /proc/PID/root.',
  references: ['T1083'],
  remedy:
    'The kernel refuses this only for file systems mounted inside (sealed) or another kernel (microvm, gvisor).',
  async run({ world, journal }) {
    const { canary, subject, guest, paths } = await world()
    const name = canary('file-name').text
    using control = controlFile(journal)
    const seen: Evidence[] = []
    for (const pid of await subject.pids()) {
      const folder = `/proc/${pid}/root${paths.folder}`
      const names = await namesIn(folder)
      if (names.includes(name)) seen.push({ kind: 'path', text: `${folder}/${name}` })
    }
    const inside = await guest.listFolder(paths.folder)
    const own = await readdir(`/proc/self/root${journal.folder}`)
    return conclude({
      seen,
      controls: [
        { what: 'the file is there inside', held: inside.some((entry) => entry.name === name) },
        { what: 'the container has processes on the host', held: (await subject.pids()).length > 0 },
        { what: "the auditor's own file is seen below /proc/self/root", held: own.includes(control.name) },
      ],
      leak: "Everyday root walks the container's files through /proc/PID/root.",
      contained: 'The file is below the root of none of its processes.',
    })
  },
}

export const namespaceEnter: Probe = {
  ...common,
  id: 'O10',
  slug: 'out.ns.enter',
  asset: 'all live state',
  question: 'Can `nsenter` take root of the host into a container, where it reads everything?',
  method: 'nsenter --all into each process of the container, then reads a random word from a tmpfs in it.',
  references: ['T1609'],
  remedy: 'Only a level with an own kernel (gvisor, microvm) has nothing to enter.',
  async run({ world, observer, journal }) {
    const { canary, subject, guest, paths } = await world()
    using own = controlFile(journal)
    const enter = ['nsenter', `--target=${process.pid}`, '--mount', 'cat', own.path]
    const seen: Evidence[] = []
    const pids = [...new Set([subject.pid, ...(await subject.pids())])].slice(0, 8)
    for (const pid of pids) {
      const inside = await observer({ enter: pid }).catch(() => undefined)
      const content = await inside?.readFile(paths.tmpfs).catch(() => undefined)
      if (content?.includes(canary('tmpfs').bytes) === true) {
        seen.push({ kind: 'process', text: `nsenter --target ${pid} --all reads ${paths.tmpfs}` })
        break
      }
    }
    const control = (await hostCommand(enter)).stdout
    const there = await guest.readFile(paths.tmpfs)
    return conclude({
      seen,
      controls: [
        { what: 'the word is in the tmpfs inside', held: there.includes(canary('tmpfs').bytes) },
        { what: "nsenter reads the auditor's own file", held: control === own.content.text },
        { what: 'there are processes to enter', held: pids.length > 0 },
      ],
      leak: 'Everyday root enters the container and reads its memory file system.',
      contained: 'No process of the container can be entered to where the word is.',
    })
  },
}

export const openFiles: Probe = {
  ...common,
  id: 'O13',
  slug: 'out.mounts.open-files',
  asset: 'paths',
  question: 'Do `lsof` and /proc/PID/{fd,maps,cwd} on the host show which files a container has open?',
  method:
    'A process inside keeps a file with a random name open; the links of all its processes are read on the host.',
  references: ['T1083'],
  remedy:
    'Only a level with an own kernel (gvisor, microvm) hides open files; a sandbox may still show its own.',
  async run({ world, guest, journal }) {
    const { canary, subject, paths } = await world()
    const name = canary('file-name').text
    const holder = await guest(subject)
    const { value: fd } = await holder.syscall('openat', -100, { in: `${paths.file}\0` }, 0)
    const inside = await holder.readLink(`/proc/self/fd/${fd}`)
    const seen: Evidence[] = []
    const pids = await subject.pids()
    for (const pid of pids) seen.push(...(await namedIn(pid, name)))
    using control = controlFile(journal)
    await using opened = await open(control.path)
    const own = await namedIn(process.pid, control.name)
    return conclude({
      seen,
      controls: [
        { what: 'the file is open inside', held: inside.includes(name) },
        { what: `the observer sees a file that it has open itself (${opened.fd})`, held: own.length > 0 },
        { what: 'the container has processes on the host', held: pids.length > 0 },
      ],
      leak: 'Everyday root sees with `lsof` which files the container has open.',
      contained: 'No link of its processes names the file.',
    })
  },
}

async function namedIn(pid: number, name: string): Promise<readonly Evidence[]> {
  const at = `/proc/${pid}`
  const fds = await namesIn(`${at}/fd`)
  const links = [...fds.map((fd) => `${at}/fd/${fd}`), `${at}/cwd`, `${at}/exe`]
  const seen: Evidence[] = []
  for (const link of links) {
    const to = await readlink(link).catch(() => '')
    if (to.includes(name)) seen.push({ kind: 'path', text: `${link} -> ${to}` })
  }
  for (const file of ['maps', 'mountinfo']) {
    const text = await readFile(`${at}/${file}`, 'utf8').catch(() => '')
    if (text.includes(name)) seen.push({ kind: 'path', text: `${at}/${file}` })
  }
  return seen
}
