/** A bare OCI runtime: runc, crun, runsc. Its own `spec` says what a bundle's default configuration is. */
import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError } from '../../base/errors.ts'
import { isRecord } from '../../client/connect.ts'
import { processOfChild } from '../guest-process.ts'
import type { GuestProcess } from '../guest-types.ts'
import { hostCommand } from '../host-command.ts'
import { imageEntries, unpackImage } from '../image.ts'
import type { Journal } from '../journal.ts'
import { auditorPids, companions, descendants, listProcesses } from '../processes.ts'
import { GUEST_ARGV } from '../target.ts'
import type { ExecOptions, Subject, SubjectOptions, Target } from '../target.ts'
import { bundleConfig } from './bundle-config.ts'

export interface RuntimeTargetOptions {
  /** `runc`, `crun`, `runsc`. */
  readonly name: string
  readonly path: string
  readonly journal: Journal
  readonly program: Buffer
}

/** crun 1.8 refuses hybrid cgroups: the v2 hierarchy is put out of its sight, in a mount namespace of its own. */
const HIDE_UNIFIED = [
  ...['unshare', '--mount', 'sh', '-c'],
  ...['umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', '-'],
]

export async function runtimeTarget(options: RuntimeTargetOptions): Promise<Target> {
  const { name, path, journal } = options
  const folder = join(journal.folder, name)
  const state = join(folder, 'state')
  // As /run/runc is: nobody else gets through.
  await mkdir(state, { recursive: true, mode: 0o700 })
  // A bundle has no network but its loopback; runsc must be told.
  const words = name === 'runsc' ? ['--network=none'] : []
  const argv = [...(name === 'crun' ? HIDE_UNIFIED : []), path, ...words, '--root', state]
  const version = await hostCommand([path, '--version'])
  return {
    report: {
      name,
      kind: 'oci-runtime',
      version: /version\s+(\S+)/.exec(version.stdout)?.[1] ?? '',
      level: name,
      runArguments: [],
    },
    client: undefined,
    socket: undefined,
    networkNamespace: undefined,
    folders: async () => [folder],
    enginePids: async () => [],
    create: (subject) => createBundle({ ...options, folder, argv }, subject ?? {}),
    makeNetwork: async () => undefined,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

interface Place extends RuntimeTargetOptions {
  readonly folder: string
  /** The command line up to the verb. */
  readonly argv: readonly string[]
}

async function createBundle(place: Place, options: SubjectOptions): Promise<Subject> {
  const { journal, argv } = place
  const name = `dewar-audit-${journal.run}-${Math.random().toString(36).slice(2, 8)}`
  const bundle = join(place.folder, name)
  const gone = journal.plan({ kind: 'bundle', argv, name })
  const remove = async (): Promise<void> => {
    await removeBundle(argv, name)
    await rm(bundle, { recursive: true, force: true })
    gone()
  }
  try {
    await mkdir(bundle, { recursive: true, mode: 0o700 })
    // The root inside: ordinary users of the container go through it.
    await mkdir(join(bundle, 'rootfs'), { mode: 0o755 })
    await unpackImage(imageEntries(place.program), join(bundle, 'rootfs'))
    await must([place.path, 'spec', ...(place.name === 'runsc' ? ['--bundle', bundle] : ['-b', bundle])])
    const config: unknown = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8'))
    const changed = bundleConfig(isRecord(config) ? config : {}, options, name)
    await writeFile(join(bundle, 'config.json'), JSON.stringify(changed), { mode: 0o600 })
    await runDetached([...argv, 'run', '--detach', '--bundle', bundle, name], join(bundle, 'output.log'))
    return subjectOf(argv, name, await pidOf(argv, name), remove)
  } catch (error) {
    await remove()
    throw error
  }
}

export async function removeBundle(argv: readonly string[], name: string): Promise<void> {
  await hostCommand([...argv, 'kill', name, 'KILL'])
  await hostCommand([...argv, 'delete', '--force', name])
}

async function must(argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await hostCommand(argv)
  if (code === 0) return stdout
  throw new DewarError('system', `${argv.join(' ')} failed: ${stderr.trim() || stdout.trim() || code}`)
}

/** The container inherits the output: a file, so that nobody waits for its end. */
async function runDetached(argv: readonly string[], log: string): Promise<void> {
  await using file = await open(log, 'a', 0o600)
  const [program = '', ...args] = argv
  const child = spawn(program, args, { stdio: ['ignore', file.fd, file.fd] })
  const code = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('exit', (status) => resolve(status ?? 1))
  })
  if (code === 0) return
  const said = await readFile(log, 'utf8')
  throw new DewarError('system', `${argv.join(' ')} failed: ${said.trim().slice(-400) || code}`)
}

async function pidOf(argv: readonly string[], name: string): Promise<number> {
  const state: unknown = JSON.parse(await must([...argv, 'state', name]))
  const pid = isRecord(state) ? state['pid'] : undefined
  if (typeof pid !== 'number') throw new DewarError('system', `${name} has no pid: is it running?`)
  return pid
}

function subjectOf(argv: readonly string[], name: string, pid: number, remove: () => Promise<void>): Subject {
  let removed: Promise<void> | undefined
  return {
    id: name,
    name,
    pid,
    exec: async (options) => execIn(argv, name, options ?? {}),
    pids: () => pidsOf(name, pid),
    alive: async () => (await hostCommand([...argv, 'state', name])).stdout.includes('"running"'),
    address: async () => undefined,
    stop: async () => void (await hostCommand([...argv, 'kill', name, 'KILL'])),
    remove: () => (removed ??= remove()),
    [Symbol.asyncDispose]: () => (removed ??= remove()),
  }
}

function execIn(argv: readonly string[], name: string, options: ExecOptions): GuestProcess {
  const words = [
    ...Object.entries(options.env ?? {}).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    ...(options.user === undefined ? [] : ['--user', options.user]),
    ...(options.workingFolder === undefined ? [] : ['--cwd', options.workingFolder]),
  ]
  const [program = '', ...args] = [...argv, 'exec', ...words, name, ...(options.argv ?? GUEST_ARGV)]
  return processOfChild(spawn(program, args, { stdio: 'pipe' }))
}

async function pidsOf(name: string, pid: number): Promise<readonly number[]> {
  const all = await listProcesses()
  const ours = await auditorPids(all)
  const named = all.filter(({ argv }) => argv.some((word) => word.includes(name))).map((one) => one.pid)
  return [...descendants(all, [pid, ...named, ...(await companions(pid))])].filter((one) => !ours.has(one))
}
