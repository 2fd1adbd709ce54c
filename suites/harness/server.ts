import type { Background } from './background.ts'
import { callApi, type ApiAnswer } from './call-api.ts'
import { command, type CommandOptions, type CommandResult } from './command.ts'
import { hostNetwork, type NetworkNamespace } from './network-namespace.ts'
import { until } from './until.ts'

/** A running engine that speaks Docker's API: dockerd or ours. */
export interface Server extends AsyncDisposable {
  readonly name: 'dockerd' | 'dewar'
  readonly socket: string
  readonly network: NetworkNamespace
  readonly process: Background
  readonly folder: string
  /** Runs a command in the server's network namespace with DOCKER_HOST at its socket. */
  run(argv: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** `docker ARGS`, which must succeed; its output without the last newline. */
  docker(...args: readonly string[]): Promise<string>
  api(method: string, path: string, body?: unknown): Promise<ApiAnswer>
  /** kill -9, and wait till it is gone. */
  crash(): Promise<void>
}

export interface ServerParts {
  readonly name: Server['name']
  readonly folder: string
  readonly socket: string
  readonly network?: NetworkNamespace | undefined
  readonly process: Background
  /** Milliseconds it may take to answer. */
  readonly patience: number
}

/** Waits until the process answers on its socket, and gives it the handles tests want. */
export async function serverOf(parts: ServerParts): Promise<Server> {
  const { name, folder, socket, process: child, network = hostNetwork } = parts
  const env = {
    DOCKER_HOST: `unix://${socket}`,
    DOCKER_CONFIG: `${folder}/client`,
    DOCKER_CLI_HINTS: 'false',
    // What a client is killed over (clones of git contexts) goes with the folder.
    TMPDIR: folder,
  }
  const server: Server = {
    name,
    socket,
    network,
    process: child,
    folder,
    run: (argv, options = {}) =>
      command([...network.enter, ...argv], { ...options, env: { ...env, ...options.env } }),
    async docker(...args) {
      const result = await server.run(['docker', ...args], { check: true })
      return result.stdout.replace(/\n$/, '')
    },
    api: (method, path, body) => callApi(socket, method, path, body),
    async crash() {
      child.kill('SIGKILL')
      await child.ended
    },
    async [Symbol.asyncDispose]() {
      await child.stop()
    },
  }
  try {
    await until(
      `${name} to answer on ${socket}`,
      async () => {
        if (!child.running()) throw new Error(`starting ${name}: it ended\n${child.log()}`)
        return callApi(socket, 'GET', '/_ping').then(
          (answer) => answer.status === 200,
          () => false,
        )
      },
      parts.patience,
    )
  } catch (error) {
    await child.stop()
    throw error
  }
  return server
}

/** Removes all containers, running or not. Volumes of theirs too. */
export async function removeAllContainers(server: Server): Promise<void> {
  const list = await server.api('GET', '/containers/json?all=1')
  if (!Array.isArray(list.json)) throw new Error(`listing containers: status ${list.status} ${list.text}`)
  for (const { Id } of list.json as readonly { readonly Id: string }[])
    await server.api('DELETE', `/containers/${Id}?force=1&v=1`)
}
