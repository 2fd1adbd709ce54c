/** Targets without one protection that no option takes away: each a real one, with something wrong done on the way. */
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { guestArgv, processOfChild } from '../../src/audit/guest-process.ts'
import { openGuest } from '../../src/audit/guest.ts'
import { startTool } from '../../src/audit/observers/tool.ts'
import { PROJECT } from '../harness/project.ts'
import type { Journal } from '../../src/audit/journal.ts'
import type { Subject, SubjectOptions, Target } from '../../src/audit/target.ts'
import { runtimeTarget } from '../../src/audit/targets/oci-runtime.ts'
import { WORK_FOLDER } from '../../src/audit/image.ts'
import { weigh } from './weigh.ts'
import { command } from '../harness/command.ts'
import { compileC } from '../harness/compile-c.ts'
import { findProgram } from '../harness/requirement.ts'
import type { Scope } from '../harness/scope.ts'

export interface Workshop {
  readonly journal: Journal
  readonly program: Buffer
  readonly scope: Scope
}

/** A bundle of runc's, by another program in its place perhaps. */
export function bundles({ journal, program }: Workshop, path = findProgram('runc') ?? ''): Promise<Target> {
  return runtimeTarget({ name: 'runc', path, journal, program })
}

type Change = (options: SubjectOptions) => SubjectOptions

export function changed(
  target: Target,
  change: Change,
  spoil: (subject: Subject) => Subject = (one) => one,
): Target {
  return { ...target, create: async (options = {}) => spoil(await target.create(change(options))) }
}

/** Gives no limit that it is asked for. */
export async function withoutLimits(shop: Workshop): Promise<Target> {
  return changed(await bundles(shop), ({ memory: _memory, pids: _pids, ...rest }) => rest)
}

/** Forgets that a mount was to be read-only. */
export async function withoutReadOnly(shop: Workshop, more: SubjectOptions = {}): Promise<Target> {
  return changed(await bundles(shop), ({ mounts = [], ...rest }) => ({
    ...rest,
    ...more,
    mounts: mounts.map((mount) => ({ ...mount, readOnly: false })),
  }))
}

/** Passes its own environment on. */
export async function withOwnEnvironment(shop: Workshop): Promise<Target> {
  return changed(await bundles(shop), ({ env, ...rest }) => {
    const own = Object.entries(process.env).filter(([name]) => name.startsWith('DEWAR_AUDIT'))
    return { ...rest, env: { ...Object.fromEntries(own.map(([k, v]) => [k, v ?? ''])), ...env } }
  })
}

/** Keeps its storage open to all. */
export async function withOpenStorage(shop: Workshop): Promise<Target> {
  const target = await bundles(shop)
  const open = async (options: SubjectOptions = {}): Promise<Subject> => {
    const subject = await target.create(options)
    for (const folder of await target.folders())
      await command(['chmod', '-R', 'o+rX', folder], { check: true })
    return subject
  }
  return { ...target, create: open }
}

/** Forgets a copy of the configuration, and a namespace. */
export async function withLeftovers(shop: Workshop): Promise<Target> {
  const target = await bundles(shop)
  return changed(
    target,
    (options) => options,
    (subject) => {
      const forget = async (): Promise<void> => {
        const [folder = ''] = await target.folders()
        copyFileSync(join(folder, subject.name, 'config.json'), join(folder, `${subject.name}.old`))
        const held = join(shop.journal.folder, `${subject.name}.net`)
        writeFileSync(held, '')
        await command(['mount', '--bind', `/proc/${subject.pid}/ns/net`, held], { check: true })
        shop.scope.defer(() => command(['umount', held]))
        await subject.remove()
      }
      return { ...subject, remove: forget, [Symbol.asyncDispose]: () => subject.remove() }
    },
  )
}

/** Leaves a folder of the host open in what it starts (CVE-2024-21626). */
export function withOpenFolder(shop: Workshop): Promise<Target> {
  return withOpen(shop, (folder) => `3<${folder}`)
}

/** Leaves a socket of its own open in what it starts. */
export function withOpenSocket(shop: Workshop): Promise<Target> {
  return withOpen(shop, () => '3<>/dev/udp/127.0.0.1/9')
}

function withOpen(shop: Workshop, redirection: (folder: string) => string): Promise<Target> {
  const folder = mkdtempSync(join(shop.journal.folder, 'leaky-'))
  const runc = findProgram('runc') ?? ''
  const lines = [
    '#!/bin/bash',
    `exec ${redirection(folder)}`,
    'for word; do shift; set -- "$@" "$word"',
    '  case $word in run|exec) set -- "$@" --preserve-fds 1;; esac',
    'done',
    `exec ${runc} "$@"`,
  ]
  const path = join(folder, 'runc')
  writeFileSync(path, lines.join('\n'))
  chmodSync(path, 0o755)
  return bundles(shop, path)
}

/** Goes inside with a program of the host's, for anybody there to open (CVE-2019-5736). */
export async function withOwnProgram(shop: Workshop): Promise<Target> {
  const enter = await compileC('audit/enter-as-file.c', join(shop.journal.folder, 'enter'))
  return changed(
    await bundles(shop),
    (options) => options,
    (subject) => ({
      ...subject,
      exec: async (options = {}) => {
        const argv = options.argv ?? (await guestArgv())
        return processOfChild(spawn(enter, [String(subject.pid), ...argv], { stdio: 'pipe' }))
      },
    }),
  )
}

/** Gives containers eight times the weight that everybody else has. */
export async function withHeavyContainers(shop: Workshop): Promise<Target> {
  const target = await bundles(shop)
  const heavy = async (options: SubjectOptions = {}): Promise<Subject> => {
    const subject = await target.create(options)
    weigh(subject.pid)
    return subject
  }
  return { ...target, create: heavy }
}

/** The work folder of all containers but the first, which is the victim, is in memory and not on the disk. */
export async function withDisksApart(shop: Workshop): Promise<Target> {
  let created = 0
  return changed(await bundles(shop), (options) => {
    created += 1
    const elsewhere = { type: 'tmpfs', source: '', target: WORK_FOLDER } as const
    return created > 1 ? { ...options, mounts: [...(options.mounts ?? []), elsewhere] } : options
  })
}

/** Leaves packets to threads of the kernel (threaded NAPI), which nobody in particular pays for. */
export function withThreadedPackets(target: Target, { journal }: Workshop): Target {
  const network = target.networkNamespace ?? '/proc/self/ns/net'
  const enter = ['nsenter', `--net=${network}`]
  const thread =
    'mount -t sysfs sysfs /sys && for file in /sys/class/net/veth*/threaded; do echo 1 >$file; done'
  return {
    ...target,
    create: async (options) => {
      const subject = await target.create(options)
      const engine = Number(/\d+/.exec(network)?.[0] ?? process.pid)
      // Where segments are cut by the sender, the receiver's queue takes all packets.
      await switchFeature(journal, { networkOf: subject.pid, names: ['eth0'], feature: SEGMENTS, on: 0 })
      const { stdout } = await command([...enter, 'ip', '-o', 'link'], { check: true })
      const names = [...stdout.matchAll(/(veth\w+)@/g)].map((match) => match[1] ?? '')
      await switchFeature(journal, { networkOf: engine, names, feature: GROUPING, on: 1 })
      await command([...enter, 'unshare', '--mount', 'sh', '-c', thread], { check: true })
      return subject
    },
  }
}

/** linux/ethtool.h: ETHTOOL_STSO, ETHTOOL_SGRO; linux/sockios.h. */
const [SEGMENTS, GROUPING, SIOCETHTOOL] = [0x1f, 0x2c, 0x8946]

interface Switch {
  readonly networkOf: number
  readonly names: readonly string[]
  readonly feature: number
  readonly on: number
}

async function switchFeature(journal: Journal, { networkOf, names, feature, on }: Switch): Promise<void> {
  const program = join(PROJECT, 'native/build/dewar-probe')
  await using tool = await openGuest(await startTool(journal, program, { networkOf }))
  for (const name of names) {
    const [wanted, request] = [Buffer.alloc(8), Buffer.alloc(40)]
    wanted.writeUInt32LE(feature, 0)
    wanted.writeUInt32LE(on, 4)
    request.write(name)
    const pointers = [{ at: 16, to: wanted }]
    const [, answer] = await tool.batch([
      { name: 'socket', args: [2, 2, 0], ends: true },
      { name: 'ioctl', args: [{ result: 0 }, SIOCETHTOOL, { in: request, pointers }] },
      { name: 'close', args: [{ result: 0 }] },
    ])
    if (answer?.error !== '') throw new Error(`ethtool of ${name} failed: ${answer?.error}`)
  }
}

/** Copies by the paths that the container has on the host (CVE-2018-15664). */
export function withNaiveCopies(target: Target, folderOf: (id: string) => Promise<string>): Target {
  const { client } = target
  if (client === undefined) return target
  const copying = {
    getArchive: async (id: string, path: string) => ({
      body: [readFileSync(`${await folderOf(id)}${path}`)],
    }),
    putArchive: async (id: string, path: string) =>
      writeFileSync(`${await folderOf(id)}${path}/stranger`, 'x'),
  }
  const containers = instead(client.containers, copying)
  return { ...target, client: instead(client, { containers }) }
}

/** Copies out alone. */
export function thatCopiesNothingIn(target: Target): Target {
  const { client } = target
  if (client === undefined) return target
  const putArchive = (): Promise<never> => Promise.reject(new Error('read-only'))
  return { ...target, client: instead(client, { containers: instead(client.containers, { putArchive }) }) }
}

/** Takes no images any more. */
export function thatLoadsNothing(target: Target): Target {
  const { client } = target
  if (client === undefined) return target
  async function* load(): AsyncGenerator {
    yield* []
    throw new Error('no space left on device')
  }
  return { ...target, client: instead(client, { images: instead(client.images, { load }) }) }
}

/** Does not remove the first image that it is asked to. */
export function thatKeepsImages(target: Target): Target {
  const { client } = target
  if (client === undefined) return target
  let asked = 0
  const remove: typeof client.images.remove = async (name, options) => {
    asked += 1
    if (asked === 1) throw new Error('the image is in use')
    return client.images.remove(name, options)
  }
  return { ...target, client: instead(client, { images: instead(client.images, { remove }) }) }
}

/** The object with some of its members replaced; its methods go on finding their own. */
function instead<T extends object>(whole: T, members: Readonly<Record<string, unknown>>): T {
  return new Proxy(whole, {
    get(from, name): unknown {
      if (typeof name === 'string' && name in members) return members[name]
      const value: unknown = Reflect.get(from, name)
      return typeof value === 'function'
        ? (...args: unknown[]): unknown => Reflect.apply(value, from, args)
        : value
    },
  })
}
