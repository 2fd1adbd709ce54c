/** Targets without one protection that no option takes away: each a real one, with something wrong done on the way. */
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { guestArgv, processOfChild } from '../../src/audit/guest-process.ts'
import type { Journal } from '../../src/audit/journal.ts'
import type { Subject, SubjectOptions, Target } from '../../src/audit/target.ts'
import { runtimeTarget } from '../../src/audit/targets/oci-runtime.ts'
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

function changed(
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
export async function withoutReadOnly(shop: Workshop): Promise<Target> {
  return changed(await bundles(shop), ({ mounts = [], ...rest }) => ({
    ...rest,
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
  const folder = join(shop.journal.folder, 'leaky')
  mkdirSync(folder)
  const runc = findProgram('runc') ?? ''
  const lines = [
    '#!/bin/bash',
    `exec 3<${folder}`,
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
