import { controlFile, findEach, findNames } from '../../observers/find.ts'
import type { Probe } from '../../probe.ts'
import { conclude } from '../../verdict.ts'

export const fileName: Probe = {
  id: 'O01',
  slug: 'out.file.name-find',
  direction: 'out',
  asset: 'file',
  observers: ['host-root'],
  question: "Does `find / -name` on the host list a container's file?",
  method:
    'A file with a random name is made inside; the host searches all its folders but /proc and /sys for it.',
  references: ['CWE-668', 'T1083'],
  remedy:
    'Use a level whose files live in no folder of the host: sealed, gvisor with an overlay in memory, microvm.',
  interference: 'none',
  readOnly: false,
  timeout: 90_000,
  async run({ world, target, journal, signal }) {
    const { canary, guest, paths } = await world()
    const wanted = canary('file-name').text
    using control = controlFile(journal)
    // The likely places first: a machine with millions of files and a cold cache takes minutes.
    const folders = await target.folders()
    const covered = folders.some((folder) => folder.startsWith(journal.folder))
    const likely = covered ? [journal.folder] : [...folders, journal.folder]
    const near = await findEach(likely, [wanted, control.name], signal)
    const search = near.hits.some(({ name }) => name === wanted)
      ? near
      : await findNames('/', [wanted, control.name], signal)
    const inside = await guest.listFolder(paths.folder)
    return conclude({
      seen: search.hits
        .filter(({ name }) => name === wanted)
        .map(({ path }) => ({ kind: 'path', text: path })),
      controls: [
        { what: 'the file is there inside', held: inside.some(({ name }) => name === wanted) },
        {
          what: "the search finds the auditor's own file",
          held: search.hits.some(({ name }) => name === control.name),
        },
        { what: 'the search came to its end', held: search.complete },
      ],
      leak: "The host's everyday root finds the file by its name.",
      contained: `${search.folders} folders of the host were searched, and it is in none.`,
    })
  },
}
