import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { isNotFound, older } from '../../client/connect.ts'
import type { Client } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { failedCall } from '../errno-text.ts'
import { familiarName, parseImageName, withDefaultTag } from '../image-name.ts'
import type { ImageName } from '../image-name.ts'
import { pullImage } from '../pull-image.ts'
import { shownLines } from '../shown.ts'
import { terminalSize } from '../terminal.ts'
import type { CreateBody } from './create-body.ts'

export interface CreateRequest {
  readonly body: CreateBody
  readonly name: string
  readonly platform: string
  readonly pull: string
  readonly quiet: boolean
}

/** Creates a container, pulling its image where that is wanted and needed. Gives the id; warnings go to stderr. */
export async function createContainer(client: Client, request: CreateRequest, cli: Cli): Promise<string> {
  const { body, pull } = request
  const cidfile = body.HostConfig.ContainerIDFile
  if (cidfile !== '' && existsSync(cidfile)) {
    throw new Error(
      `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
    )
  }
  if (cidfile !== '') await reserve(cidfile)
  try {
    const image = nameOrId(body.Image)
    if (pull === 'always' && image !== undefined) await fetchImage(client, request, image, cli)
    const created = await createOrPull(client, withConsoleSize(request, cli), image, cli)
    for (const warning of [...created.Warnings, ...localDnsWarning(body.HostConfig.Dns)])
      cli.warn(shownLines(`WARNING: ${warning}`, cli.stderr))
    if (cidfile !== '') await writeFile(cidfile, created.Id)
    return created.Id
  } catch (error) {
    if (cidfile !== '') await rm(cidfile, { force: true })
    throw error
  }
}

/** Before anything is created: what cannot be written is found out now. */
async function reserve(cidfile: string): Promise<void> {
  await writeFile(cidfile, '').catch((error: unknown) => {
    throw new Error(`failed to create the container ID file: ${failedCall(cidfile, error)}`, { cause: error })
  })
}

async function createOrPull(
  client: Client,
  request: CreateRequest,
  image: ImageName | undefined,
  cli: Cli,
): Promise<{ Id: string; Warnings: readonly string[] }> {
  const options = {
    ...(request.name === '' ? {} : { name: request.name }),
    ...(request.platform === '' ? {} : { platform: request.platform }),
  }
  const body = forVersion(request.body, client.apiVersion)
  try {
    return await client.containers.create(body, options)
  } catch (error) {
    if (!isNotFound(error) || image === undefined || request.pull !== 'missing') throw error
  }
  if (!request.quiet) cli.warn(`Unable to find image '${familiarName(withDefaultTag(image))}' locally`)
  await fetchImage(client, request, image, cli)
  return client.containers.create(body, options)
}

async function fetchImage(client: Client, request: CreateRequest, name: ImageName, cli: Cli): Promise<void> {
  await pullImage(
    client,
    { name, platform: request.platform, out: request.quiet ? undefined : cli.stderr },
    cli,
  )
}

/** Since API 1.44 an address belongs to an endpoint, and the container-wide field only earns a warning. */
function forVersion(body: CreateBody, version: string): CreateBody {
  if (older(version, '1.44') !== '1.44') return body
  const { MacAddress: _, ...rest } = body
  return {
    ...rest,
    Image: body.Image,
    Tty: body.Tty,
    OpenStdin: body.OpenStdin,
    AttachStdin: body.AttachStdin,
    AttachStdout: body.AttachStdout,
    AttachStderr: body.AttachStderr,
    StdinOnce: body.StdinOnce,
    HostConfig: body.HostConfig,
  }
}

/** undefined for an image's id, which cannot be pulled. */
function nameOrId(image: string): ImageName | undefined {
  return /^(sha256:)?[a-f0-9]{64}$/.test(image) ? undefined : parseImageName(image)
}

function withConsoleSize(request: CreateRequest, cli: Cli): CreateRequest {
  const size = terminalSize(cli)
  if (size === undefined) return request
  const { body } = request
  return {
    ...request,
    body: { ...body, HostConfig: { ...body.HostConfig, ConsoleSize: [size.rows, size.columns] } },
  }
}

function localDnsWarning(servers: readonly string[]): string[] {
  const local = servers.find((server) => server.startsWith('127.') || server === '::1')
  return local === undefined ? [] : [`Localhost DNS (${local}) may fail in containers.`]
}
