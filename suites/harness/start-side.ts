import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { networkNamespace } from './network-namespace.ts'
import { startRegistry, type Registry } from './registry.ts'
import type { Scope } from './scope.ts'
import { removeAllContainers, type Server } from './server.ts'
import { startDockerd } from './start-dockerd.ts'
import { startEngine } from './start-engine.ts'
import { tempFolder } from './temp-folder.ts'
import { copyTestImages } from './test-images.ts'

export interface RunningSide {
  readonly server: Server
  readonly registry: Registry
  readonly nginx: boolean
}

/** A server and a registry on port 5000 in a network namespace of their own: all sides have the same addresses. */
export async function startSide(kind: Server['name'], scope: Scope): Promise<RunningSide> {
  const { path: folder } = scope.use(await tempFolder(kind))
  const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
  const { storage, nginx } = await copyTestImages(folder)
  const registry = scope.use(await startRegistry({ storage, folder, port: 5000, network }))
  const own = join(folder, 'server')
  await mkdir(own)
  if (kind === 'dockerd')
    return { server: scope.use(await startDockerd({ folder: own, network })), registry, nginx }
  const server = scope.use(
    await startEngine({ folder: own, network, bridge: 'dwtcf0', subnet: '172.17.0.0/16' }),
  )
  scope.defer(() => removeAllContainers(server))
  return { server, registry, nginx }
}
