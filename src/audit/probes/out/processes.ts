/** What everyday root sees of a container's processes: command lines, environments, names. */
import { shortName } from '../../canary.ts'
import type { Canary } from '../../canary.ts'
import { controlProcess } from '../../observers/control-process.ts'
import { processEvidence, searchProc } from '../../observers/proc.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import { conclude } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'

const common = {
  direction: 'out',
  observers: ['host-root'],
  interference: 'none',
  readOnly: false,
} as const

async function seenIn(
  { world }: ProbeContext,
  file: 'cmdline' | 'environ',
  asset: 'argv' | 'env',
  words: Pick<Parameters<typeof conclude>[0], 'leak' | 'contained'>,
): Promise<Finding> {
  const { canary, guest } = await world()
  await using control = await controlProcess()
  const hits = await searchProc(file, [canary(asset), control[asset]])
  const inside = await guest.readFile(`/proc/1/${file}`)
  const ours = hits.filter((hit) => hit.canary === canary(asset))
  return conclude({
    seen: processEvidence(ours, file),
    controls: [
      { what: 'the word is there inside', held: inside.includes(canary(asset).bytes) },
      {
        what: "the observer sees a control process's word",
        held: hits.some(({ pid }) => pid === control.pid),
      },
    ],
    ...words,
  })
}

export const argvCmdline: Probe = {
  ...common,
  id: 'O05',
  slug: 'out.argv.cmdline',
  asset: 'argv',
  question: 'Does /proc on the host show the command line of a process in a container?',
  method: 'A container is started with a random word; every /proc/PID/cmdline of the host is read.',
  references: ['CWE-214', 'T1057'],
  remedy:
    'Pass secrets in files, not in command lines; a level with an own kernel (gvisor, microvm) hides them.',
  run: (context) =>
    seenIn(context, 'cmdline', 'argv', {
      leak: "Everyday root reads the container's command line with `ps`.",
      contained: "No process of the host shows the container's command line.",
    }),
}

export const envEnviron: Probe = {
  ...common,
  id: 'O06',
  slug: 'out.env.environ',
  asset: 'env',
  question: 'Does /proc on the host show the environment of a process in a container?',
  method: 'A container is started with a random variable; every /proc/PID/environ of the host is read.',
  references: ['CWE-526', 'T1003.007'],
  remedy:
    'Pass secrets in files on a tmpfs; a level with an own kernel (gvisor, microvm) hides the environment.',
  run: (context) =>
    seenIn(context, 'environ', 'env', {
      leak: "Everyday root reads the container's environment in /proc.",
      contained: "No process of the host shows the container's environment.",
    }),
}

export const processNames: Probe = {
  ...common,
  id: 'O04',
  slug: 'out.proc.ps',
  asset: 'process names',
  question: 'Does `ps -e` on the host list the processes of a container by name?',
  method: 'A process inside takes a random name; every /proc/PID/comm of the host is read.',
  references: ['T1057'],
  remedy: 'Only a level with an own kernel (gvisor, microvm) hides processes.',
  async run({ world }) {
    const { canary, guest } = await world()
    const name = shortName(canary('process-name'))
    const wanted: Canary = { asset: 'process-name', text: name, bytes: Buffer.from(name) }
    const cat: Canary = { asset: 'control', text: 'cat\n', bytes: Buffer.from('cat\n') }
    await using control = await controlProcess()
    const hits = await searchProc('comm', [wanted, cat])
    const inside = await guest.readFile('/proc/self/comm')
    return conclude({
      seen: processEvidence(
        hits.filter(({ canary: found }) => found === wanted),
        'comm',
      ),
      controls: [
        { what: 'the process has the name inside', held: inside.toString().trim() === name },
        { what: 'the observer sees a control process', held: hits.some(({ pid }) => pid === control.pid) },
      ],
      leak: "Everyday root sees the container's processes with `ps -e`.",
      contained: 'No process of the host has the name.',
    })
  },
}
