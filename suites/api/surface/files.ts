/** What rows send beside JSON. */
import { gzipSync } from 'node:zlib'
import { createHash } from 'node:crypto'
import { pack, type Header } from 'tar-stream'

type Entry = Partial<Header> & { readonly name: string } & { readonly content?: string | Buffer }

async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const stream = pack()
  for (const { content, ...header } of entries) stream.entry(header, content ?? '')
  stream.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** An image of one layer as `docker save` writes it. */
async function image(): Promise<Buffer> {
  const layer = await tar([{ name: 'hello', content: 'hello\n' }])
  const digest = createHash('sha256').update(layer).digest('hex')
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/hello'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    history: [{ created_by: 'by hand' }],
  })
  const name = `${createHash('sha256').update(config).digest('hex')}.json`
  return tar([
    { name: 'layer.tar', content: layer },
    { name, content: config },
    {
      name: 'manifest.json',
      content: JSON.stringify([{ Config: name, RepoTags: ['loaded:one'], Layers: ['layer.tar'] }]),
    },
  ])
}

export async function rowFiles(): Promise<ReadonlyMap<string, Buffer>> {
  const file = await tar([{ name: 'new', content: 'new\n', mode: 0o640, uid: 5, gid: 6 }])
  return new Map([
    ['tar', file],
    ['gzip', gzipSync(file)],
    ['garbage', Buffer.from('this is no archive '.repeat(100))],
    ['deep-is-file', await tar([{ name: 'deep', content: 'a file now\n' }])],
    ['file-is-deep', await tar([{ name: 'file', type: 'directory' }])],
    ['image', await image()],
    [
      'context',
      await tar([{ name: 'Dockerfile', content: 'FROM busybox\nENV A=b\nLABEL c=d\nCMD ["true"]\n' }]),
    ],
  ])
}
