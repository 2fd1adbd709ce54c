/** What an image keeps of the secrets it was built with. */
import { Readable } from 'node:stream'
import { messageOf } from '../../../base/errors.ts'
import { isRecord } from '../../../client/connect.ts'
import type { Client } from '../../../client/connect.ts'
import { makeCanary } from '../../canary.ts'
import type { Canary } from '../../canary.ts'
import { SHARED_FILE, tarOf, WORK_FOLDER } from '../../image.ts'
import { searchContents } from '../../observers/find.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { PROGRAM } from '../../target.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'

/** Ends at once: its standard input is empty. */
const RUN = `RUN ["${PROGRAM}", "audit-guest"]`

/** `first` holds the file, whose name is an argument: without one nothing is built. The last image is given the other. */
function dockerfile(base: string): string {
  return [
    ...[`FROM ${base} AS first`, 'ARG FILE', `COPY $FILE ${WORK_FOLDER}/token`, RUN],
    ...[`FROM ${base}`, `COPY --from=first ${SHARED_FILE} ${WORK_FOLDER}/result`, 'ARG TOKEN', RUN],
  ].join('\n')
}

interface Built {
  readonly argument: Canary
  readonly file: Canary
  /** Tags: of the first stage, of the image. */
  readonly stage: string
  readonly image: string
}

/** The stage has a tag of its own, so that it can be removed: whatever else is not tagged belongs to somebody else. */
async function build(
  context: ProbeContext,
  client: Client,
  socket: string,
): Promise<Built & AsyncDisposable> {
  const { world, journal } = context
  const inspected: unknown = JSON.parse(await client.containers.inspectRaw((await world()).subject.id))
  const base =
    isRecord(inspected) && isRecord(inspected['Config']) ? String(inspected['Config']['Image']) : ''
  const [argument, file] = [makeCanary('build-argument'), makeCanary('build-file')]
  const name = `dewar-audit-${journal.run}-built`
  const [stage, image] = [`${name}:first`, `${name}:last`]
  const gone = [stage, image].map((one) => journal.plan({ kind: 'image', socket, name: one }))
  const tar = await tarOf([
    { path: '/Dockerfile', type: 'file', content: dockerfile(base) },
    { path: '/token', type: 'file', content: file.text },
  ])
  const built = {
    ...{ argument, file, stage, image },
    async [Symbol.asyncDispose]() {
      for (const one of [image, stage])
        await client.images.remove(one, { force: true }).catch(() => undefined)
      for (const end of gone) end()
    },
  }
  try {
    // The same arguments: then the second takes the first's stage, and makes none of its own.
    const buildargs = JSON.stringify({ FILE: 'token', TOKEN: argument.text })
    await buildOne(client, tar, { t: stage, target: 'first', buildargs }, context.signal)
    await buildOne(client, tar, { t: image, buildargs }, context.signal)
  } catch (error) {
    await built[Symbol.asyncDispose]()
    throw error
  }
  return built
}

async function buildOne(
  client: Client,
  tar: Buffer,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const context = Readable.from([tar], { objectMode: false })
  // Podman's word: it would keep an image of each step.
  const all = { ...query, rm: true, forcerm: true, layers: false }
  for await (const line of client.images.build({ context, query: all, signal }))
    if (line.error !== '') throw new Error(`building failed: ${line.error}`)
}

/** Empty when both are gone. */
async function removalOf(client: Client, { image, stage }: Built): Promise<string> {
  for (const one of [image, stage]) {
    try {
      await client.images.remove(one, { force: true })
    } catch (error) {
      return `: ${one}: ${messageOf(error)}`
    }
  }
  return ''
}

/** What everybody gets who may pull or inspect it. */
async function textsOf(client: Client, image: string): Promise<ReadonlyMap<string, Buffer>> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await client.images.save([image]))
    if (chunk instanceof Uint8Array) chunks.push(chunk)
  return new Map([
    ['inspect', Buffer.from(await client.images.inspectRaw(image))],
    ['history', Buffer.from(JSON.stringify(await client.images.history(image)))],
    ['the saved image', Buffer.concat(chunks)],
  ])
}

export const buildSecret: Probe = {
  id: 'O36',
  slug: 'out.build.secret',
  direction: 'out',
  asset: 'secret',
  observers: ['api-user', 'host-root'],
  question: 'Does an image give away what it was built with, or does the engine keep it?',
  method:
    'An image is built with a random build argument, and with a random file in a stage that is left behind; inspect, history and layers are searched for both, and the engine’s folders after all was removed.',
  references: ['CWE-798', 'CWE-538'],
  remedy:
    'Never pass secrets as build arguments; use them in a stage that is left behind, or mount them (RUN --mount=type=secret).',
  interference: 'none',
  readOnly: false,
  timeout: 90_000,
  async run(context) {
    const { target, signal } = context
    const { client, socket } = target
    if (client === undefined || socket === undefined) return absent('a bare runtime builds no images')
    await using built = await build(context, client, socket)
    const texts = await textsOf(client, built.image)
    const stage = await textsOf(client, built.stage)
    const seen: Evidence[] = []
    for (const [where, bytes] of texts)
      for (const canary of [built.argument, built.file])
        if (bytes.includes(canary.bytes)) seen.push({ kind: 'value', text: `${canary.asset}: in ${where}` })
    const kept = await removalOf(client, built)
    const folders = await target.folders()
    const rest = await searchContents(folders, [built.argument, built.file], signal)
    // What was not removed is there of right.
    seen.push(
      ...(kept === '' ? rest.hits : []).map(({ canary, path }) => ({
        kind: 'path' as const,
        text: `${canary.asset}: after the removal in ${path}`,
      })),
    )
    return conclude({
      seen,
      controls: [
        {
          what: 'the file is found in the stage that holds it',
          held: stage.get('the saved image')?.includes(built.file.bytes) === true,
        },
        {
          what: `the search of the engine’s folders came to its end (${rest.files} files)`,
          held: rest.complete,
        },
        { what: `the engine removed both images${kept}`, held: kept === '' },
      ],
      leak: 'What an image was built with stands in it for all who get it, or stays with the engine.',
      contained: 'Neither the argument nor the file of the stage is in the image, and nothing stays.',
    })
  },
}
