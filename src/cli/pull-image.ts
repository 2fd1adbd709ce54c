import type { Client, RegistryAuth } from '../client/connect.ts'
import type { Cli } from './cli.ts'
import { findAuth, readConfig } from './config-file.ts'
import { fullRepository, withDefaultTag } from './image-name.ts'
import type { ImageName } from './image-name.ts'
import { showProgress } from './progress.ts'

/** The stored credentials for an image's registry. */
export async function authFor(name: ImageName, cli: Cli): Promise<RegistryAuth | undefined> {
  return findAuth(await readConfig(cli.configFolder), name.domain)
}

export interface PullImage {
  readonly name: ImageName
  readonly platform: string
  /** Without a tag all of the repository. */
  readonly all?: boolean
  readonly out: NodeJS.WriteStream | undefined
}

/** Pulls and shows the progress on `out` (nothing when undefined). Throws the engine's error. */
export async function pullImage(client: Client, request: PullImage, cli: Cli): Promise<void> {
  const name = request.all === true ? request.name : withDefaultTag(request.name)
  const tag = name.digest ?? name.tag
  const auth = await authFor(name, cli)
  const lines = client.images.pull({
    fromImage: fullRepository(name),
    ...(tag === undefined ? {} : { tag }),
    ...(request.platform === '' ? {} : { platform: request.platform }),
    ...(auth === undefined ? {} : { auth }),
  })
  if (request.out !== undefined) return showProgress(lines, request.out)
  const { ClientError } = await import('../client/connect.ts')
  for await (const line of lines) {
    const problem = line.errorDetail?.message ?? line.error
    if (problem !== '') throw new ClientError(0, problem)
  }
}
