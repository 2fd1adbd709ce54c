/** What stays of a container that was removed. */
import { readFile, readdir } from 'node:fs/promises'
import { connectWorld } from '../../connect-world.ts'
import { hostCommand } from '../../host-command.ts'
import { controlFile, findEach, searchContents } from '../../observers/find.ts'
import { namespaceOf, listPids } from '../../processes.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { ASSETS } from '../../world.ts'

const common = {
  direction: 'out',
  observers: ['host-root'],
  interference: 'none',
  readOnly: false,
  timeout: 90_000,
} as const

/** Where things of a container may be forgotten, beside the target's own folders. */
const ELSEWHERE = ['/run', '/var/log']

export const afterExitFiles: Probe = {
  ...common,
  id: 'O31',
  slug: 'out.afterexit.files',
  asset: 'all remains',
  question: 'Does anything of a removed container stay in files of the host?',
  method:
    'A container with random words everywhere is removed; storage, /run and /var/log are searched for each.',
  references: ['CWE-226', 'CWE-459'],
  remedy: 'Report it to the engine; until then remove the named files after each secret container.',
  async run(context) {
    const world = await connectWorld(context)
    const canaries = ASSETS.map((asset) => world.canary(asset))
    const before = await searchContents(await context.target.folders(), canaries, context.signal)
    await world.guest[Symbol.asyncDispose]()
    await world.subject.remove()
    using control = controlFile(context.journal)
    const folders = await context.target.folders()
    const after = await searchContents(
      [...folders, ...ELSEWHERE, control.path],
      [...canaries, control.content],
      context.signal,
    )
    const names = await findEach([...folders, ...ELSEWHERE], [world.canary('file-name').text], context.signal)
    const seen: Evidence[] = [
      ...after.hits
        .filter(({ canary }) => canary !== control.content)
        .map(({ canary, path }) => ({ kind: 'path' as const, text: `${canary.asset}: ${path}` })),
      ...names.hits.map(({ path }) => ({ kind: 'path' as const, text: `file-name: ${path}` })),
    ]
    return conclude({
      seen,
      controls: [
        {
          what: `${before.hits.length} words were found before the removal`,
          held: before.complete && before.hits.length > 0,
        },
        {
          what: "the search finds the auditor's own file",
          held: after.hits.some(({ canary }) => canary === control.content),
        },
        { what: 'the search came to its end', held: after.complete && names.complete },
      ],
      leak: 'Words of the removed container stay in files of the host.',
      contained: `${after.files} files were searched, and none holds a word of the removed container.`,
    })
  },
}

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'] as const

/** What the kernel holds for a container, as names that can be looked for later. */
interface KernelObjects {
  readonly namespaces: readonly string[]
  readonly cgroups: readonly string[]
  readonly interfaces: readonly string[]
  readonly pids: readonly number[]
  readonly address: string | undefined
}

export const afterExitKernel: Probe = {
  ...common,
  id: 'O32',
  slug: 'out.afterexit.kernel',
  asset: 'kernel objects',
  question:
    'Does the kernel keep anything of a removed container: namespaces, groups, mounts, interfaces, rules?',
  method: "The container's own objects are noted while it lives and looked for after its removal.",
  references: ['CWE-404'],
  remedy: 'Report it to the engine; a restart of the machine frees what is left.',
  async run(context) {
    const { create, target } = context
    const subject = await create()
    const host = new Set(await Promise.all(NAMESPACES.map((kind) => namespaceOf('self', kind))))
    const links = await Promise.all(NAMESPACES.map((kind) => namespaceOf(subject.pid, kind)))
    const objects: KernelObjects = {
      namespaces: links.filter((link) => link !== undefined).filter((link) => !host.has(link)),
      cgroups: await cgroupsOf(subject.pid),
      interfaces: await peersOf(context, subject.pid),
      pids: await subject.pids(),
      address: await subject.address(),
    }
    const alive = await remains(objects, subject.id, target.networkNamespace)
    await subject.remove()
    let seen = await remains(objects, subject.id, target.networkNamespace)
    // The kernel takes network namespaces apart after the last process is gone, in its own time.
    for (let tries = 0; seen.length > 0 && tries < 40; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      seen = await remains(objects, subject.id, target.networkNamespace)
    }
    return conclude({
      seen,
      controls: [
        { what: `${alive.length} objects were seen while it lived`, held: alive.length > 0 },
        { what: 'it had namespaces of its own', held: objects.namespaces.length > 0 },
      ],
      leak: 'The kernel still holds objects of the removed container.',
      contained: 'Namespaces, groups, mounts, interfaces, processes and rules of the container are gone.',
    })
  },
}

async function remains(
  objects: KernelObjects,
  id: string,
  network: string | undefined,
): Promise<readonly Evidence[]> {
  const seen: Evidence[] = []
  const value = (text: string): void => void seen.push({ kind: 'value', text })
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  for (const line of mounts.split('\n')) if (line.includes(id)) value(`mount ${line.split(' ')[4] ?? ''}`)
  for (const path of objects.cgroups) {
    if ((await readdir(path).catch(() => undefined)) !== undefined) value(`control group ${path}`)
  }
  const held = await namespacesInUse()
  for (const link of objects.namespaces) {
    if (held.has(link) || mounts.includes(link)) value(`namespace ${link}`)
  }
  const enter = network === undefined ? [] : ['nsenter', `--net=${network}`]
  const links = (await hostCommand([...enter, 'ip', '-o', 'link'])).stdout
  for (const name of objects.interfaces) if (links.includes(`: ${name}@`)) value(`interface ${name}`)
  const rules = (await hostCommand([...enter, 'nft', 'list', 'ruleset'])).stdout
  const { address } = objects
  if (address !== undefined && new RegExp(`\\b${address.replaceAll('.', '\\.')}\\b`).test(rules))
    value(`a rule of the packet filter names ${address}`)
  const keys = await readFile('/proc/keys', 'utf8').catch(() => '')
  if (keys.includes(id)) value(`a keyring is named after it`)
  const pids = new Set(await listPids())
  for (const pid of objects.pids) {
    if (pids.has(pid) && (await isStill(pid, objects))) seen.push({ kind: 'process', text: `process ${pid}` })
  }
  return seen
}

/** The pid may be another's by now: only one that is in a namespace of the container's counts. */
async function isStill(pid: number, { namespaces }: KernelObjects): Promise<boolean> {
  const links = await Promise.all(NAMESPACES.map((kind) => namespaceOf(pid, kind)))
  return links.some((link) => link !== undefined && namespaces.includes(link))
}

async function namespacesInUse(): Promise<ReadonlySet<string>> {
  const pids = await listPids()
  const links = await Promise.all(pids.flatMap((pid) => NAMESPACES.map((kind) => namespaceOf(pid, kind))))
  return new Set(links.filter((link) => link !== undefined))
}

/** Folders of its control groups that are not shared with the auditor. */
async function cgroupsOf(pid: number): Promise<readonly string[]> {
  const own = await readFile('/proc/self/cgroup', 'utf8')
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n')
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map((line) => line.split(' '))
  return lines.flatMap((line) => {
    const [, controllers = '', path = '/'] = line.split(':')
    if (line === '' || path === '/' || own.includes(`:${path}\n`)) return []
    const mount = mounts.find((fields) => {
      const at = fields.indexOf('-')
      const [kind = '', options = ''] = [fields[at + 1], fields[at + 3]]
      return controllers === '' ? kind === 'cgroup2' : kind === 'cgroup' && options.endsWith(controllers)
    })
    return mount?.[4] === undefined ? [] : [`${mount[4]}${path}`]
  })
}

/** Names of the host's ends of its interfaces: an interface inside says the index of its peer. */
async function peersOf({ target }: ProbeContext, pid: number): Promise<readonly string[]> {
  if ((await namespaceOf(pid, 'net')) === (await namespaceOf('self', 'net'))) return []
  const inside = (await hostCommand(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', '-o', 'link'])).stdout
  const indexes = [...inside.matchAll(/@if(\d+):/g)].map((match) => match[1])
  const enter = target.networkNamespace === undefined ? [] : ['nsenter', `--net=${target.networkNamespace}`]
  const outside = (await hostCommand([...enter, 'ip', '-o', 'link'])).stdout
  return [...outside.matchAll(/^(\d+): ([^@:]+)@/gm)].flatMap((match) =>
    indexes.includes(match[1]) && match[2] !== undefined ? [match[2]] : [],
  )
}
