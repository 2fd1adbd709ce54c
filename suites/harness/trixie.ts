import { join } from 'node:path'
import { debianArchitecture, unpackedPackages } from './debian-packages.ts'

/** They need no newer C library than Debian 12 has. runc does, so dockerd runs with the system's. */
const PACKAGES = ['docker.io', 'containerd', 'docker-compose', 'docker-buildx']

/** Programs of Debian 13, unpacked beside the system: what is installed stays as it is. */
export interface Trixie {
  /** To be put before PATH: dockerd 26, its containerd and docker-proxy. */
  readonly path: string
  /** docker compose v2, as a program of its own. */
  readonly compose: string
  /** docker buildx, the same. */
  readonly buildx: string
}

/** Downloads and unpacks them once per machine (60 MB, some ten seconds), or tells why that is not possible. */
export function trixie(): Promise<Trixie | string> {
  return (unpacked ??= unpack())
}
let unpacked: Promise<Trixie | string> | undefined

async function unpack(): Promise<Trixie | string> {
  const found = await unpackedPackages({
    release: 'trixie',
    architecture: debianArchitecture(),
    names: PACKAGES,
  })
  if (typeof found === 'string') return found
  const plugins = join(found.folder, 'usr', 'libexec', 'docker', 'cli-plugins')
  return {
    path: `${join(found.folder, 'usr', 'sbin')}:${join(found.folder, 'usr', 'bin')}`,
    compose: join(plugins, 'docker-compose'),
    buildx: join(plugins, 'docker-buildx'),
  }
}
