import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auditContainer } from '../../audit/audit-container.ts'
import { audit as runAudit } from '../../audit/audit.ts'
import { discover } from '../../audit/discover/discover.ts'
import { parseReference, recordReference } from '../../audit/discover/reference.ts'
import { PROBES } from '../../audit/probes/index.ts'
import { selectProbes } from '../../audit/select.ts'
import { listeningSockets, parseTarget } from '../../audit/targets/find.ts'
import type { Report } from '../../audit/types.ts'
import { parseAddress } from '../../client/connect.ts'
import { diffFiles, readReport } from '../audit/kept-reports.ts'
import { orCouldNotRun, OUTPUT_FLAGS, prepareOutputs, readText } from '../audit/outputs.ts'
import { auditProgress } from '../audit/progress.ts'
import { auditSurroundings } from '../audit/surroundings.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command, type ValuesOf } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, integer, string, strings } from '../flags.ts'
import { packageRoot, packageVersion } from '../package-root.ts'
import { splitWords } from '../run-arguments.ts'

const FLAGS = {
  direction: strings('Only probes of this direction: out, in, across'),
  probe: strings('Only this probe (id or part of its name: O01, out.file)'),
  asset: strings('Only probes of this asset: file, env, memory…'),
  observer: strings('Only what this observer sees: neighbour, host-root, unprivileged-user…'),
  'run-args': string('Options for the run of the containers that are judged ("--security-opt …")'),
  discover: bool('Also look for channels that no list has (a minute more for each target)'),
  reference: string('For --discover: what another machine says too (`dewar audit reference > FILE` there)', {
    value: 'file',
  }),
  load: bool('Also probes that make much load'),
  limit: integer('Seconds that one target may take', { initial: 170 }),
  ...OUTPUT_FLAGS,
  'fail-on-loss': bool('For diff: exit code 1 when something is lost, 2 when it is no longer proven'),
}
/** ms */
const REFERENCE_PATIENCE = 300_000
type Flags = ValuesOf<typeof FLAGS>

/** `dewar audit`: what leaks out of, into and between containers, with planted secrets, on any engine. */
export const audit = command({
  name: 'audit',
  summary: 'Find out what leaks out of containers, into them, and between them',
  usage: '[OPTIONS] [TARGET... | container NAME [ENGINE] | show FILE | diff BEFORE AFTER | reference]',
  arity: atLeast(0),
  // 1 would say that a policy is broken.
  misuse: 2,
  flags: FLAGS,
  examples: [
    { command: 'dewar audit', about: 'Judge the engine of this machine' },
    { command: 'dewar audit dewar docker podman runsc', about: 'Side by side' },
    {
      command: "dewar audit --run-args '--security-opt seccomp=unconfined' docker",
      about: 'Your own configuration',
    },
    {
      command: 'dewar audit container web',
      about: 'A container that runs, of any engine: only looked at, never touched',
    },
    {
      command: 'dewar audit --html audit.html --sarif audit.sarif --policy policy.yaml docker',
      about: 'For CI: exit code 0 the policy held, 1 it is broken, 2 it could not be decided',
    },
    {
      command: 'dewar audit --discover --reference other.json docker',
      about: 'Look for unknown channels; other.json was made on another machine by: dewar audit reference',
    },
    { command: 'dewar audit show --html audit.html report.json', about: 'Show a report that was kept' },
    { command: 'dewar audit diff --fail-on-loss old.json new.json', about: 'What a change won or lost' },
  ],
  run: (flags, words, cli) => orCouldNotRun(() => carryOut(flags, words, cli)),
})

async function carryOut(flags: Flags, [verb = '', ...files]: readonly string[], cli: Cli): Promise<number> {
  const words = verb === '' ? files : [verb, ...files]
  if (verb === 'diff') return diffFiles(files, flags, cli)
  if (verb === 'show') {
    if (files.length > 1)
      throw new Failure(
        'showing a report failed: it takes one (dewar audit show FILE; two are compared by dewar audit diff)',
        2,
      )
    const report = readReport(files[0] ?? '-')
    return prepareOutputs(flags, [...PROBES, ...report.probes], cli).deliver(report)
  }
  if (process.getuid?.() !== 0)
    throw new Failure(
      'auditing failed: what the host sees of containers only its root can find out (use sudo)',
      2,
    )
  if (verb === 'reference') return sayReference(cli)
  if (flags.limit < 1)
    throw new Failure(`auditing failed: --limit ${flags.limit} leaves no time (give seconds, 170 for all)`, 2)
  if (flags.reference !== '' && !flags.discover)
    throw new Failure('auditing failed: --reference is for the discoverer (add --discover)', 2)
  const outputs = prepareOutputs(flags, PROBES, cli)
  const stop = new AbortController()
  const interrupted = (): void => stop.abort()
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  const report = await (verb === 'container'
    ? judgeContainer(flags, files, cli, stop.signal)
    : judgeTargets(flags, words, cli, stop.signal))
  process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
  const code = outputs.deliver(report)
  for (const leftover of report.leftovers) cli.warn(leftover)
  return stop.signal.aborted ? 130 : code
}

/** On stdout, for --reference on another machine. */
async function sayReference(cli: Cli): Promise<number> {
  cli.warn('Reads /proc and /sys of this machine once; what goes to stdout are digests.')
  cli.say(
    JSON.stringify(
      await recordReference(programPath(), AbortSignal.timeout(REFERENCE_PATIENCE)),
      undefined,
      1,
    ),
  )
  return 0
}

const programPath = (): string => join(packageRoot(), 'native/build/dewar-probe')

async function judgeTargets(
  flags: Flags,
  words: readonly string[],
  cli: Cli,
  signal: AbortSignal,
): Promise<Report> {
  const discovering = flags.discover ? await discoverOptions(flags.reference) : undefined
  const probes = selectProbes(PROBES, flags)
  const targets = words.length === 0 ? ['dewar'] : words
  const runArguments = splitWords(flags['run-args'])
  const program = programPath()
  const progress = auditProgress(cli, { probes, load: flags.load, discover: flags.discover })
  return runAudit({
    ...auditSurroundings(cli, runArguments),
    ...{ targets, probes, load: flags.load, version: packageVersion(), program, signal },
    ...(discovering === undefined
      ? {}
      : { discover: (target, over) => discover(target, { ...discovering, program, signal: over }) }),
    limit: flags.limit * 1000,
    onEvent: progress.show,
  }).finally(progress.end)
}

async function discoverOptions(file: string) {
  const folder = tmpdir()
  return file === '' ? { folder } : { folder, reference: await parseReference(readText(file), file) }
}

/** `container NAME [ENGINE]`. */
function judgeContainer(
  flags: Flags,
  [container, engine, ...more]: readonly string[],
  cli: Cli,
  signal: AbortSignal,
): Promise<Report> {
  if (container === undefined || more.length > 0)
    throw new Failure('choosing a container failed: give one name (dewar audit container NAME [ENGINE])', 2)
  const named = engine === undefined ? undefined : parseTarget(engine).socket
  if (engine !== undefined && named === undefined)
    throw new Failure(`choosing the engine ${engine} failed: give its socket (docker=SOCKET)`, 2)
  const own = parseAddress(cli.place.host)
  const first = own.kind === 'unix' ? [own.path] : []
  const probes = selectProbes(PROBES, flags).filter(({ readOnly }) => readOnly)
  cli.warn(
    `${probes.length} probes that only look, on ${container}: a program joins its namespaces from this host; nothing is written into it.`,
  )
  const progress = auditProgress(cli, { probes, load: false, discover: false })
  return auditContainer({
    ...{ container, probes, program: programPath(), version: packageVersion(), signal },
    sockets: named === undefined ? listeningSockets(cli.env, first) : [named],
    limit: flags.limit * 1000,
    onEvent: progress.show,
  }).finally(progress.end)
}
