import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { networkNamespace } from '../harness/network-namespace.ts'
import { startRegistry } from '../harness/registry.ts'
import type { Scope } from '../harness/scope.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { trixie } from '../harness/trixie.ts'
import { clientImages } from './images.ts'

/** Where the images of `images.ts` are, for both sides: `${REGISTRY}/web`, `/redis`, `/postgres`, `/busybox`. */
export const REGISTRY = '127.0.0.1:5000'

export interface ClientSideOptions {
  /** The system's dockerd 20.10, for clients that are as old. Otherwise Debian 13's 26 where it can be had. */
  readonly old?: boolean
}

/** A server with a registry, in a network namespace of their own. */
export async function clientSide(
  name: Server['name'],
  scope: Scope,
  { old = false }: ClientSideOptions = {},
): Promise<Server> {
  const { path: folder } = scope.use(await tempFolder(`clients-${name}`))
  const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
  const storage = join(folder, 'registry')
  await cp(await clientImages(), storage, { recursive: true })
  scope.use(await startRegistry({ storage, folder, port: 5000, network }))
  const own = join(folder, 'server')
  await mkdir(own)
  const newest = old || typeof (await trixie()) === 'string' ? {} : { release: 'trixie' as const }
  const server =
    name === 'dockerd'
      ? await startDockerd({ folder: own, network, ...newest })
      : await startEngine({ folder: own, network, bridge: 'dwtc0', subnet: '172.17.0.0/16' })
  scope.use(server)
  scope.defer(() => removeAllContainers(server))
  return server
}
