import { ClientError } from '../../client/connect.ts'
import { atLeast, command } from '../command-spec.ts'
import { parseCpus, parseMemorySwap, parseRestart } from '../create/words.ts'
import { Failure } from '../failure.ts'
import { bytes, custom, integer, string } from '../flags.ts'

export const update = command({
  name: 'update',
  summary: 'Update configuration of one or more containers',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  arity: atLeast(1),
  flags: {
    'blkio-weight': integer('Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)', {
      value: 'uint16',
    }),
    'cpu-period': integer('Limit CPU CFS (Completely Fair Scheduler) period'),
    'cpu-quota': integer('Limit CPU CFS (Completely Fair Scheduler) quota'),
    'cpu-rt-period': integer('Limit the CPU real-time period in microseconds'),
    'cpu-rt-runtime': integer('Limit the CPU real-time runtime in microseconds'),
    'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
    cpus: custom('Number of CPUs', 0, (word) => parseCpus(word), { value: 'decimal' }),
    'cpuset-cpus': string('CPUs in which to allow execution (0-3, 0,1)'),
    'cpuset-mems': string('MEMs in which to allow execution (0-3, 0,1)'),
    memory: bytes('Memory limit', { short: 'm' }),
    'memory-reservation': bytes('Memory soft limit'),
    'memory-swap': custom(
      'Swap limit equal to memory plus swap: -1 to enable unlimited swap',
      0,
      (word) => parseMemorySwap(word),
      { value: 'bytes' },
    ),
    'pids-limit': integer('Tune container pids limit (set -1 for unlimited)'),
    restart: string('Restart policy to apply when a container exits'),
  },
  examples: [
    { command: 'dewar update -m 512m --memory-swap 512m web', about: 'Another memory limit, while it runs' },
  ],
  run: async (flags, names, cli) => {
    if (flags.given.size === 0)
      throw new Failure('you must provide one or more flags when using this command')
    const body = {
      CpuShares: flags['cpu-shares'],
      Memory: flags.memory,
      NanoCpus: flags.cpus,
      CgroupParent: '',
      BlkioWeight: flags['blkio-weight'],
      CpuPeriod: flags['cpu-period'],
      CpuQuota: flags['cpu-quota'],
      CpuRealtimePeriod: flags['cpu-rt-period'],
      CpuRealtimeRuntime: flags['cpu-rt-runtime'],
      CpusetCpus: flags['cpuset-cpus'],
      CpusetMems: flags['cpuset-mems'],
      MemoryReservation: flags['memory-reservation'],
      MemorySwap: flags['memory-swap'],
      ...(flags['pids-limit'] === 0 ? {} : { PidsLimit: flags['pids-limit'] }),
      RestartPolicy: restartPolicy(flags.restart),
    }
    const { containers } = await cli.client()
    const warnings: string[] = []
    const errors: string[] = []
    for (const name of names) {
      try {
        warnings.push(...(await containers.update(name, body)))
        cli.say(name)
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        errors.push(error.status > 0 ? `Error response from daemon: ${error.message}` : error.message)
      }
    }
    if (warnings.length > 0) cli.say(warnings.join('\n'))
    if (errors.length > 0) throw new Failure(errors.join('\n'))
  },
})

function restartPolicy(word: string): object {
  if (word === '') return { Name: '', MaximumRetryCount: 0 }
  try {
    return parseRestart(word)
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error))
  }
}
