import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '../client/connect.ts'
import type { EnginePlace } from './engine-place.ts'

/** What every command gets: the outside world, and the engine when asked for. */
export interface Cli {
  readonly env: NodeJS.ProcessEnv
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly place: EnginePlace
  /** The folder of Docker's client settings (config.json). */
  readonly configFolder: string
  /** Connects at the first call; starts the engine where that is ours to do. */
  readonly client: () => Promise<Client>
  /** A line on stdout. */
  readonly say: (line: string) => void
  /** A line on stderr. */
  readonly warn: (line: string) => void
}

export function configFolder(env: NodeJS.ProcessEnv, given: string): string {
  if (given !== '') return given
  return env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker')
}

/** The part of the process that a command sees. */
export interface World {
  readonly env: NodeJS.ProcessEnv
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

export interface CliSettings {
  readonly place: EnginePlace
  readonly configFolder: string
  readonly connect: (place: EnginePlace) => Promise<Client>
}

/** Makes a command's surroundings; `dispose` closes what was opened. */
export function makeCli(
  world: World,
  settings: CliSettings,
): Cli & { readonly dispose: () => Promise<void> } {
  let connected: Promise<Client> | undefined
  return {
    ...world,
    place: settings.place,
    configFolder: settings.configFolder,
    client: () => (connected ??= settings.connect(settings.place)),
    say: (line) => void world.stdout.write(`${line}\n`),
    warn: (line) => void world.stderr.write(`${line}\n`),
    dispose: async () => {
      const client = await connected?.catch(() => undefined)
      client?.close()
    },
  }
}

/** Colours are for people: on a terminal, unless NO_COLOR says no (https://no-color.org). */
export function coloursOn(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
}
