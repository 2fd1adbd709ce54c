import { writeFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { background } from './background.ts'
import { command } from './command.ts'
import { hostNetwork, type NetworkNamespace } from './network-namespace.ts'
import { writeOciLayout, type ImageRecipe } from './oci-layout.ts'
import { tempFolder } from './temp-folder.ts'
import { until } from './until.ts'

export interface Registry extends AsyncDisposable {
  /** host:port as it stands in image names. */
  readonly address: string
  /** Puts an image there with skopeo. `format`: the manifest's. */
  push(
    recipe: ImageRecipe,
    options?: { readonly format?: 'v2s2' | 'oci'; readonly zstd?: boolean },
  ): Promise<void>
}

export interface RegistryOptions {
  /** Where its blobs are; made when missing. */
  readonly storage: string
  /** For its configuration and log. */
  readonly folder: string
  readonly port: number
  readonly network?: NetworkNamespace
  /** The part `auth` of its configuration, in YAML's flow style; anybody may do everything when not given. */
  readonly auth?: string
}

/** Debian's docker-registry on a loopback port. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { network = hostNetwork } = options
  const address = `127.0.0.1:${options.port}`
  await mkdir(options.storage, { recursive: true })
  const config = join(options.folder, `registry-${options.port}.yml`)
  await writeFile(
    config,
    `version: 0.1\nlog: { level: warn, accesslog: { disabled: true } }\nstorage:\n  filesystem: { rootdirectory: ${JSON.stringify(options.storage)} }\n` +
      `  delete: { enabled: true }\n  redirect: { disable: true }\nhttp: { addr: "${address}" }\n` +
      (options.auth === undefined ? '' : `auth: ${options.auth}\n`),
  )
  const log = join(options.folder, `registry-${options.port}.log`)
  const server = background([...network.enter, 'docker-registry', 'serve', config], log)
  await until(`the registry on ${address}`, async () => {
    if (!server.running()) throw new Error(`starting docker-registry: it ended\n${server.log()}`)
    return (
      (await command([...network.enter, 'bash', '-c', `: < /dev/tcp/127.0.0.1/${options.port}`])).code === 0
    )
  })
  return {
    address,
    async push(recipe, { format = 'v2s2', zstd = false } = {}) {
      await using layout = await tempFolder('layout')
      await writeOciLayout(layout.path, recipe)
      const tag = recipe.name.split(':')[1] ?? 'latest'
      await command(
        [
          ...network.enter,
          ...[
            'skopeo',
            'copy',
            '--quiet',
            '--insecure-policy',
            '--dest-tls-verify=false',
            `--format=${format}`,
          ],
          ...(zstd ? ['--dest-compress', '--dest-compress-format=zstd'] : []),
          `oci:${layout.path}:${tag}`,
          `docker://${address}/${recipe.name}`,
        ],
        { check: true, timeout: 120_000 },
      )
    },
    async [Symbol.asyncDispose]() {
      await server.stop(3000)
    },
  }
}
