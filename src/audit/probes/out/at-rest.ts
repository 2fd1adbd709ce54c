/** What lies on the host's disks: contents, metadata, logs. */
import { isOnDisk, pathEvidence, searchAtRest } from '../../observers/at-rest.ts'
import type { AtRest } from '../../observers/at-rest.ts'
import { searchContents } from '../../observers/find.ts'
import type { Probe } from '../../probe.ts'
import type { Control, Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { ASSETS } from '../../world.ts'

const common = {
  direction: 'out',
  interference: 'none',
  readOnly: false,
  timeout: 90_000,
} as const

function controlsOf({ search, sees }: AtRest): readonly Control[] {
  return [
    { what: `the search came to its end (${search.files} files)`, held: search.complete },
    { what: "the search finds the auditor's own file", held: sees },
  ]
}

export const fileContent: Probe = {
  ...common,
  id: 'O02',
  slug: 'out.file.content-grep',
  asset: 'file',
  observers: ['host-root'],
  question: 'Does `grep -ra` on the host find what a container writes into its files?',
  method: "A random word is written into a file inside; all of the target's folders are searched for it.",
  references: ['CWE-312', 'T1005'],
  remedy:
    'Use a level whose files live in no folder of the host: sealed, gvisor with an overlay in memory, microvm.',
  async run(context) {
    const { canary, guest, paths } = await context.world()
    const rest = await searchAtRest(context)
    const inside = await guest.readFile(paths.file)
    return conclude({
      seen: pathEvidence(rest.found.get('file-content') ?? []),
      controls: [
        { what: 'the word is in the file inside', held: inside.includes(canary('file-content').bytes) },
        ...controlsOf(rest),
      ],
      leak: "Everyday root greps the container's file out of the engine's storage.",
      contained: `${rest.search.files} files of the target were searched, and none holds the word.`,
    })
  },
}

export const metadata: Probe = {
  ...common,
  id: 'O08',
  slug: 'out.meta.at-rest',
  asset: 'metadata',
  observers: ['host-root', 'api-user'],
  question: "Do the engine's records and its `inspect` show environment, command line, labels and host name?",
  method: 'Random words are given in each; state folders, bundles and the API are searched for them.',
  references: ['CWE-312', 'moby#30866', 'podman#23788'],
  remedy: 'Pass secrets in files on a tmpfs, never in variables, arguments or labels.',
  async run(context) {
    const { canary, subject } = await context.world()
    const rest = await searchAtRest(context)
    const assets = ['env', 'argv', 'hostname', 'label'] as const
    const seen: Evidence[] = assets.flatMap((asset) =>
      (rest.found.get(asset) ?? []).map((path) => ({ kind: 'path' as const, text: `${asset}: ${path}` })),
    )
    const answer = (await context.target.client?.containers.inspectRaw(subject.id)) ?? ''
    for (const asset of assets) {
      if (answer.includes(canary(asset).text)) seen.push({ kind: 'value', text: `inspect shows ${asset}` })
    }
    return conclude({
      seen,
      controls: [{ what: 'the container runs', held: await subject.alive() }, ...controlsOf(rest)],
      leak: 'Environment, command line, labels or host name stand readable in state files or come with `inspect`.',
      contained: 'Neither the state files nor the API show them.',
    })
  },
}

export const logAtRest: Probe = {
  ...common,
  id: 'O14',
  slug: 'out.log.at-rest',
  asset: 'log',
  observers: ['host-root'],
  question: 'Does what a container prints lie readable on the host?',
  method:
    'A random word is printed on stdout; storage, run folders, /var/log and the journal are searched for it.',
  references: ['CWE-532'],
  remedy: 'Use the log driver `none`, or do not print secrets.',
  async run(context) {
    const { canary, subject } = await context.world()
    if (context.target.client === undefined) return absent('a bare runtime keeps no log: its caller does')
    const rest = await searchAtRest(context)
    const journals = await searchContents(['/var/log'], [canary('log')], AbortSignal.timeout(20_000))
    const engine = await context.target.client.containers.logs(subject.id, { stdout: true, tail: 'all' })
    const chunks: Uint8Array[] = []
    for await (const chunk of engine) if (chunk instanceof Uint8Array) chunks.push(chunk)
    const printed = Buffer.concat(chunks).includes(canary('log').bytes)
    return conclude({
      seen: pathEvidence([...(rest.found.get('log') ?? []), ...journals.hits.map(({ path }) => path)]),
      controls: [
        { what: 'the engine has the printed word', held: printed },
        { what: 'the search of /var/log came to its end', held: journals.complete },
        ...controlsOf(rest),
      ],
      leak: 'Everyday root reads what the container printed in a file of the host.',
      contained: 'No file of the target or of /var/log holds the printed word.',
    })
  },
}

export const diskThief: Probe = {
  ...common,
  id: 'O25',
  slug: 'out.disk.thief',
  asset: 'all at rest',
  observers: ['disk-thief'],
  question: 'Who steals the powered-off disk, what does he read of a container?',
  method:
    'All random words are searched in what the target keeps on disk (not in memory); a disk below dm-crypt shows none.',
  references: ['CWE-312', 'CWE-311'],
  remedy: 'Encrypt the disk below the storage folder, or use the level sealed.',
  async run(context) {
    const { subject } = await context.world()
    const rest = await searchAtRest(context)
    const seen: Evidence[] = []
    for (const asset of ASSETS) {
      for (const path of rest.found.get(asset) ?? []) {
        if (await isOnDisk(path)) seen.push({ kind: 'path', text: `${asset}: ${path}` })
      }
    }
    return conclude({
      seen,
      controls: [{ what: 'the container runs', held: await subject.alive() }, ...controlsOf(rest)],
      leak: 'What lies readable on disk stays so when the machine is off.',
      contained: 'None of the words lies readable on a disk.',
    })
  },
}
