import type { Command } from 'commander'
import type { Cli } from './cli.ts'
import type { CommandSpec } from './command-spec.ts'
import { Failure } from './failure.ts'
import { suggest } from './suggest.ts'

type Load = () => Promise<CommandSpec>

/** Every command loads only itself. */
export const COMMANDS: Readonly<Record<string, Load>> = {
  run: async () => (await import('./commands/run.ts')).run,
  exec: async () => (await import('./commands/exec.ts')).exec,
  ps: async () => (await import('./commands/ps.ts')).ps,
  build: async () => (await import('./commands/build.ts')).build,
  pull: async () => (await import('./commands/pull.ts')).pull,
  push: async () => (await import('./commands/push.ts')).push,
  images: async () => (await import('./commands/images.ts')).images,
  login: async () => (await import('./commands/login.ts')).login,
  logout: async () => (await import('./commands/login.ts')).logout,
  version: async () => (await import('./commands/version.ts')).version,
  info: async () => (await import('./commands/info.ts')).info,
  engine: async () => (await import('./commands/engine.ts')).engine,
  attach: async () => (await import('./commands/attach.ts')).attach,
  audit: async () => (await import('./commands/audit.ts')).audit,
  'builtin-image': async () => (await import('./experiment.ts')).builtinImage,
  commit: async () => (await import('./commands/commit.ts')).commit,
  cp: async () => (await import('./commands/cp.ts')).cp,
  create: async () => (await import('./commands/run.ts')).create,
  diff: async () => (await import('./commands/diff.ts')).diff,
  events: async () => (await import('./commands/events.ts')).events,
  experiment: async () => (await import('./experiment.ts')).experiment,
  export: async () => (await import('./commands/archives.ts')).exportCommand,
  history: async () => (await import('./commands/history.ts')).history,
  import: async () => (await import('./commands/archives.ts')).importCommand,
  inspect: async () => (await import('./commands/inspect.ts')).inspect,
  kill: async () => (await import('./commands/lifecycle.ts')).kill,
  load: async () => (await import('./commands/archives.ts')).load,
  logs: async () => (await import('./commands/logs.ts')).logs,
  plan: async () => (await import('./commands/plan.ts')).plan,
  pause: async () => (await import('./commands/lifecycle.ts')).pause,
  port: async () => (await import('./commands/port.ts')).port,
  rename: async () => (await import('./commands/lifecycle.ts')).rename,
  restart: async () => (await import('./commands/lifecycle.ts')).restart,
  rm: async () => (await import('./commands/lifecycle.ts')).rm,
  rmi: async () => (await import('./commands/rmi.ts')).rmi,
  save: async () => (await import('./commands/archives.ts')).save,
  start: async () => (await import('./commands/start.ts')).start,
  stats: async () => (await import('./commands/stats.ts')).stats,
  stop: async () => (await import('./commands/lifecycle.ts')).stop,
  tag: async () => (await import('./commands/rmi.ts')).tag,
  top: async () => (await import('./commands/top.ts')).top,
  unpause: async () => (await import('./commands/lifecycle.ts')).unpause,
  update: async () => (await import('./commands/update.ts')).update,
  wait: async () => (await import('./commands/lifecycle.ts')).wait,
  compare: async () => (await import('./commands/compare.ts')).compare,
  completion: async () => (await import('./commands/completion.ts')).completion,
}

const c = COMMANDS
const pick = (names: readonly string[]): Record<string, Load> =>
  Object.fromEntries(names.flatMap((name) => (c[name] === undefined ? [] : [[name, c[name]]])))

export interface Group {
  readonly summary: string
  readonly commands: Readonly<Record<string, Load>>
}

export const GROUPS: Readonly<Record<string, Group>> = {
  container: {
    summary: 'Manage containers',
    commands: {
      ...pick(
        'attach commit cp create diff exec export kill logs pause port rename restart rm run start stats stop top unpause update wait'.split(
          ' ',
        ),
      ),
      inspect: async () => (await import('./commands/inspect.ts')).inspectContainer,
      ls: async () => (await import('./commands/ps.ts')).containerList,
      prune: async () => (await import('./commands/prune.ts')).pruneContainers,
    },
  },
  image: {
    summary: 'Manage images',
    commands: {
      ...pick('build history import load pull push save tag'.split(' ')),
      inspect: async () => (await import('./commands/inspect.ts')).inspectImage,
      ls: async () => (await import('./commands/images.ts')).imageList,
      prune: async () => (await import('./commands/prune.ts')).pruneImages,
      rm: async () => (await import('./commands/rmi.ts')).imageRemove,
    },
  },
  network: {
    summary: 'Manage networks',
    commands: {
      connect: async () => (await import('./commands/network.ts')).connectNetwork,
      create: async () => (await import('./commands/network.ts')).createNetwork,
      disconnect: async () => (await import('./commands/network.ts')).disconnectNetwork,
      inspect: async () => (await import('./commands/inspect.ts')).inspectNetwork,
      ls: async () => (await import('./commands/network.ts')).listNetworks,
      prune: async () => (await import('./commands/prune.ts')).pruneNetworks,
      rm: async () => (await import('./commands/network.ts')).removeNetworks,
    },
  },
  volume: {
    summary: 'Manage volumes',
    commands: {
      create: async () => (await import('./commands/volume.ts')).createVolume,
      inspect: async () => (await import('./commands/inspect.ts')).inspectVolume,
      ls: async () => (await import('./commands/volume.ts')).listVolumes,
      prune: async () => (await import('./commands/prune.ts')).pruneVolumes,
      rm: async () => (await import('./commands/volume.ts')).removeVolumes,
    },
  },
  system: {
    summary: 'Manage the engine',
    commands: {
      df: async () => (await import('./commands/disk-usage.ts')).diskUsage,
      events: async () => (await import('./commands/events.ts')).events,
      info: async () => (await import('./commands/info.ts')).info,
      prune: async () => (await import('./commands/prune.ts')).pruneSystem,
    },
  },
}

/** Other words for a group's command. */
const ALIASES: Readonly<Record<string, string>> = { list: 'ls', ps: 'ls', remove: 'rm' }

export type Resolved =
  | {
      readonly kind: 'spec'
      readonly path: string
      readonly group: string | undefined
      readonly typed: string
      readonly spec: CommandSpec
    }
  | { readonly kind: 'group'; readonly register: (program: Command, cli: Cli) => void }

/** `dewar constructor` is no command. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/** Finds the command that a command line names, and loads it. */
export async function resolveName(name: string, rest: readonly string[]): Promise<Resolved> {
  const load = own(COMMANDS, name)
  if (load !== undefined)
    return { kind: 'spec', path: `dewar ${name}`, group: undefined, typed: name, spec: await load() }
  const group = own(GROUPS, name)
  if (group === undefined) throw unknownCommand(name)
  return resolveInGroup(name, group, rest)
}

async function resolveInGroup(name: string, group: Group, rest: readonly string[]): Promise<Resolved> {
  const [typed = ''] = rest
  if (['', '--help', '-h', 'help'].includes(typed)) {
    const { groupHelp } = await import('./show-help.ts')
    // Asked for: stdout. Not asked for: stderr, so that a script's pipe does not take it for an answer.
    return {
      kind: 'group',
      register: (program, cli) => groupHelp(program, name, typed === '' ? cli.stderr : cli.stdout),
    }
  }
  if (typed.startsWith('-')) {
    throw new Failure(
      `unknown flag: ${typed}\n\nUsage:  dewar ${name} COMMAND\n\nRun 'dewar ${name} --help' for more information`,
      125,
    )
  }
  const load = own(group.commands, typed) ?? own(group.commands, own(ALIASES, typed) ?? '')
  if (load === undefined) throw unknownInGroup(name, group, typed)
  return { kind: 'spec', path: `dewar ${name} ${typed}`, group: name, typed, spec: await load() }
}

/** Programs of docker's own that work on every engine: they are not ours to have. */
const PLUGINS: readonly string[] = ['compose', 'buildx']

function unknownCommand(name: string): Failure {
  if (PLUGINS.includes(name))
    return new Failure(
      `dewar: unknown command: dewar ${name}\n\nDocker's works here: DOCKER_HOST=unix:///run/dewar/dewar.sock docker ${name}`,
      1,
    )
  const names = [...Object.keys(COMMANDS), ...Object.keys(GROUPS)]
  return new Failure(
    `dewar: unknown command: dewar ${name}${hint(suggest(name, names), '')}\n\nRun 'dewar --help' for more information`,
    1,
  )
}

function unknownInGroup(name: string, group: Group, typed: string): Failure {
  const found = hint(suggest(typed, Object.keys(group.commands)), `${name} `)
  return new Failure(
    `dewar: unknown command: dewar ${name} ${typed}${found}\n\nUsage:  dewar ${name}\n\nRun 'dewar ${name} --help' for more information`,
    1,
  )
}

function hint(names: readonly string[], prefix: string): string {
  if (names.length === 0) return ''
  return `\n\nDid you mean ${names.map((name) => `\`dewar ${prefix}${name}\``).join(' or ')}?`
}
