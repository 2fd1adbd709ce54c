/** What the image suites share: a store with a real native core, a private registry, images made in memory. */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ImageService } from '../../src/engine/images.ts'
import type { ImageServiceOptions } from '../../src/engine/images.ts'
import type { Images, Progress } from '../../src/engine/types.ts'
import { startCore } from '../../src/kernel/core.ts'
import type { Core } from '../../src/kernel/core-api.ts'
import type { TarEntry } from '../../src/store/tar-header.ts'
import { encodeTarHeader, TAR_END, tarPadding } from '../../src/store/tar-write.ts'
import { unpackFilter } from '../../src/store/unpack-filter.ts'
import { freePort } from '../harness/free-port.ts'

export interface Scratch extends Disposable {
  readonly path: string
}

export function scratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), 'dwt-img-suite-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

export interface Store extends AsyncDisposable {
  readonly service: ImageService
  readonly core: Core
  readonly root: string
  readonly events: string[]
}

export async function openStore(
  options: Partial<ImageServiceOptions> & { readonly root: string },
): Promise<Store> {
  const run = mkdtempSync(join(tmpdir(), 'dwt-img-run-'))
  const core = await startCore({ runDir: run })
  const filter = unpackFilter()
  const events: string[] = []
  const service = new ImageService({
    sandbox: () => Promise.resolve(filter === undefined ? { core } : { core, filter }),
    onEvent: (action, id, { name }) => events.push(`${action} ${name ?? id}`),
    ...options,
  })
  await service.open()
  return {
    service,
    core,
    root: options.root,
    events,
    [Symbol.asyncDispose]: async () => {
      await core[Symbol.asyncDispose]()
      rmSync(run, { recursive: true, force: true })
    },
  }
}

export interface Registry extends AsyncDisposable {
  /** 127.0.0.1:PORT */
  readonly host: string
  readonly folder: string
}

/** Debian's docker-registry with its own configuration and folder; `htpasswd` turns basic auth on. */
export async function startRegistry(folder: string, htpasswd?: string): Promise<Registry> {
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  mkdirSync(folder, { recursive: true })
  const auth =
    htpasswd === undefined ? '' : `auth:\n  htpasswd:\n    realm: dwt\n    path: ${folder}/htpasswd\n`
  if (htpasswd !== undefined) writeFileSync(join(folder, 'htpasswd'), htpasswd)
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\n` +
      `http:\n  addr: ${host}\n${auth}`,
  )
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' })
  await answering(`http://${host}/v2/`, child)
  return {
    host,
    folder,
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`)
    const answer = await fetch(url).catch(() => undefined)
    if (answer !== undefined) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('docker-registry does not answer')
}

export type Item = Partial<TarEntry> & { readonly name: string; readonly data?: Buffer | string }

/** A tar in memory, of exactly these entries in this order. */
export function tarOf(items: readonly Item[]): Buffer {
  const parts = items.flatMap((item) => {
    const data = Buffer.from(item.data ?? '')
    const kind = item.kind ?? 'file'
    const header = encodeTarHeader({
      link: '',
      mode: kind === 'dir' ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      mtime: { sec: 1_000_000_000, ns: 0 },
      major: 0,
      minor: 0,
      xattrs: [],
      size: data.length,
      ...item,
      kind,
    })
    return kind === 'file' ? [header, data, tarPadding(data.length)] : [header]
  })
  return Buffer.concat([...parts, TAR_END])
}

export function sha256(data: Buffer | string): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`
}

export interface MadeImage {
  readonly config: Buffer
  readonly manifest: Buffer
  readonly layers: readonly Buffer[]
  readonly blobs: ReadonlyMap<string, Buffer>
  readonly id: string
  readonly digest: string
}

export interface MakeOptions {
  readonly compress?: (tar: Buffer) => Buffer
  readonly layerType?: string
  readonly config?: object
  readonly diffIds?: readonly string[]
  readonly docker?: boolean
  /** Steps of the history that are told beside those of the layers. */
  readonly moreHistory?: readonly object[]
}

export function makeImage(tars: readonly Buffer[], options: MakeOptions = {}): MadeImage {
  const compress = options.compress ?? ((tar: Buffer) => gzipSync(tar))
  const layers = tars.map(compress)
  const config = Buffer.from(
    JSON.stringify({
      architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch,
      os: 'linux',
      created: '2024-05-06T07:08:09Z',
      config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'], Labels: { made: 'here' }, ...options.config },
      rootfs: { type: 'layers', diff_ids: options.diffIds ?? tars.map(sha256) },
      history: [
        ...tars.map((_tar, at) => ({ created: '2024-05-06T07:08:09Z', created_by: `step ${at}` })),
        ...(options.moreHistory ?? []),
      ],
    }),
  )
  const docker = options.docker === true
  const layerType =
    options.layerType ??
    (docker
      ? 'application/vnd.docker.image.rootfs.diff.tar.gzip'
      : 'application/vnd.oci.image.layer.v1.tar+gzip')
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: docker
        ? 'application/vnd.docker.distribution.manifest.v2+json'
        : 'application/vnd.oci.image.manifest.v1+json',
      config: {
        mediaType: docker
          ? 'application/vnd.docker.container.image.v1+json'
          : 'application/vnd.oci.image.config.v1+json',
        digest: sha256(config),
        size: config.length,
      },
      layers: layers.map((layer) => ({ mediaType: layerType, digest: sha256(layer), size: layer.length })),
    }),
  )
  const blobs = new Map([config, manifest, ...layers].map((blob) => [sha256(blob), blob]))
  return { config, manifest, layers, blobs, id: sha256(config), digest: sha256(manifest) }
}

/** Puts it into a registry with skopeo, from an OCI layout on disk. */
export function pushWithSkopeo(image: MadeImage, target: string, ...more: readonly string[]): void {
  using folder = scratch()
  writeLayout(image, folder.path)
  execFileSync(
    'skopeo',
    [
      'copy',
      '--insecure-policy',
      '--dest-tls-verify=false',
      ...more,
      `oci:${folder.path}:it`,
      `docker://${target}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
}

export function writeLayout(image: MadeImage, folder: string): void {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true })
  for (const [digest, blob] of image.blobs) writeFileSync(join(folder, 'blobs/sha256', digest.slice(7)), blob)
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const { mediaType } = JSON.parse(image.manifest.toString()) as { mediaType: string }
  const annotations = { 'org.opencontainers.image.ref.name': 'it' }
  const manifests = [{ mediaType, digest: image.digest, size: image.manifest.length, annotations }]
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

/** Collects progress lines as "id: status". */
export function listener(): { readonly lines: string[]; readonly onProgress: (progress: Progress) => void } {
  const lines: string[] = []
  return {
    lines,
    onProgress: ({ id, status, stream, aux }) => {
      const text = stream?.trimEnd() ?? status ?? `aux ${JSON.stringify(aux)}`
      lines.push(id === undefined ? text : `${id}: ${text}`)
    },
  }
}

type PullOptions = Parameters<Images['pull']>[1]

export function pullOptions(
  onProgress = listener().onProgress,
  signal: PullOptions['signal'] = new AbortController().signal,
): PullOptions {
  return { onProgress, signal }
}

/** Puts it into a registry as it is, Docker's own media types too. */
export async function upload(image: MadeImage, host: string, name: string, tag: string): Promise<void> {
  const base = `http://${host}/v2/${name}`
  for (const [digest, blob] of image.blobs) {
    if (digest === image.digest) continue
    const started = await fetch(`${base}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(started.headers.get('location') ?? '', base)
    location.searchParams.set('digest', digest)
    await sent(fetch(location, { method: 'PUT', body: new Uint8Array(blob) }))
  }
  const { mediaType } = JSON.parse(image.manifest.toString()) as { mediaType: string }
  const headers = { 'content-type': mediaType }
  await sent(
    fetch(`${base}/manifests/${tag}`, { method: 'PUT', headers, body: new Uint8Array(image.manifest) }),
  )
}

async function sent(answer: Promise<Response>): Promise<void> {
  const { status } = await answer
  if (status !== 201) throw new Error(`the registry answered ${status}`)
}
