/** Paths that change under an engine's hands while it copies. */
import { Readable } from 'node:stream'
import type { Client } from '../../../client/connect.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { tarOf, WORK_FOLDER } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { insideProbe } from './inside.ts'
import { layTrap } from './trap.ts'

/** ms. */
const [LEAST, MOST, PIECE] = [4000, 20_000, 1000]

export const copyRaces: Probe = insideProbe(
  {
    id: 'I40',
    slug: 'in.cp.races',
    asset: 'host files',
    question: 'Does copying in or out reach the host when a guest swaps the path for a link?',
    method:
      'A process inside exchanges a folder with a link to a canary folder of the host while files are copied in and out.',
    references: ['CVE-2018-15664', 'CVE-2019-14271', 'CWE-367'],
    remedy: 'Update the engine; pause the container while copying.',
    interference: 'bounded',
    readOnly: false,
    timeout: 90_000,
  },
  async (context) => {
    const { target, create, guest, signal } = context
    const { client } = target
    if (client === undefined) return absent('a bare runtime copies nothing')
    using trap = layTrap(context, 'copy')
    const subject = await create()
    const [inside, swapper] = [await guest(subject), await guest(subject)]
    const [folder, link] = [`${WORK_FOLDER}/folder`, `${WORK_FOLDER}/link`]
    await inside.makeFolder(folder)
    await inside.writeFile(`${folder}/canary`, 'inside')
    await inside.syscall('symlinkat', { in: `${'../'.repeat(40)}${trap.folder.slice(1)}` }, -100, {
      in: link,
    })
    const swap: Call = { name: 'renameat2', args: [-100, { in: folder }, -100, { in: link }, 2] }
    const archive = await tarOf([{ path: '/stranger', type: 'file', content: 'x' }])
    const began = performance.now()
    let over = false
    const swapping = swapUntil(swapper, swap, () => over)
    let copies = 0
    let [taken, put] = [0, 0]
    let out = false
    // A copy may take a second of its own: until one of each went through while the path changed.
    const wanting = (): boolean => {
      const took = performance.now() - began
      return took < LEAST || (took < MOST && (taken === 0 || put === 0))
    }
    while (wanting() && !signal.aborted) {
      copies += 1
      // Apart: at the moment the path may be a link, or gone.
      const content = await contentOf(client, subject.id, `${folder}/canary`).catch(() => undefined)
      taken += content === undefined ? 0 : 1
      out ||= content?.includes(trap.word) === true
      const stream = Readable.from([archive], { objectMode: false })
      const went = client.containers.putArchive(subject.id, folder, stream)
      put += await went.then(
        () => 1,
        () => 0,
      )
    }
    over = true
    const { rounds, error: swapError } = await swapping
    const seen: Evidence[] = [
      ...(out ? [{ kind: 'path' as const, text: 'copying out gave the host’s file' }] : []),
      ...trap
        .strangers()
        .map((name) => ({ kind: 'path' as const, text: `copying in made ${name} on the host` })),
    ]
    return conclude({
      seen,
      controls: [
        {
          what: `the paths were exchanged (${rounds} times${swapError === '' ? '' : `: ${swapError}`})`,
          held: rounds > 10 && swapError === '',
        },
        {
          what: `copies went on meanwhile (of ${copies}, ${taken} out and ${put} in worked)`,
          held: taken > 0 && put > 0,
        },
      ],
      leak: 'Copying follows a link to the host.',
      contained: `${copies} copies stayed inside.`,
    })
  },
)

/** Piece by piece, since nothing ends a repetition before its time. */
async function swapUntil(
  swapper: Guest,
  swap: Call,
  over: () => boolean,
): Promise<{ readonly rounds: number; readonly error: string }> {
  let [all, error] = [0, '']
  do {
    const { rounds, answers } = await swapper.repeat([swap], { milliseconds: PIECE })
    all += rounds
    error ||= answers[0]?.[0]?.error ?? 'NOT-MADE'
  } while (!over() && error === '')
  return { rounds: all, error }
}

async function contentOf(client: Client, id: string, path: string): Promise<Buffer> {
  const { body } = await client.containers.getArchive(id, path)
  const chunks: Buffer[] = []
  for await (const chunk of body) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
