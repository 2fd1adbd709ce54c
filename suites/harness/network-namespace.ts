import { background } from './background.ts'
import { command } from './command.ts'
import { until } from './until.ts'
import { readlink } from 'node:fs/promises'

export interface NetworkNamespace extends AsyncDisposable {
  /** argv to put before a command that is to run in it. */
  readonly enter: readonly string[]
}

/** The namespace the tests run in. */
export const hostNetwork: NetworkNamespace = { enter: [], async [Symbol.asyncDispose]() {} }

/**
 * A network namespace with only a loopback, held by a sleeping process, so that nothing needs unmounting. Ports and
 * addresses in it can be the same on all sides of a comparison, and packet filter rules go with it.
 */
export async function networkNamespace(logFile: string): Promise<NetworkNamespace> {
  const holder = background(['unshare', '--net', 'sleep', '7200'], logFile)
  const mine = await readlink('/proc/self/ns/net')
  await until('the network namespace', async () => {
    const link = await readlink(`/proc/${holder.pid}/ns/net`).catch(() => mine)
    return link !== mine
  })
  const enter = ['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--']
  await command([...enter, 'ip', 'link', 'set', 'lo', 'up'], { check: true })
  return {
    enter,
    async [Symbol.asyncDispose]() {
      await holder.stop(1000)
    },
  }
}
