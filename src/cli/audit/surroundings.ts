import { parseAddress } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { Failure } from '../failure.ts'
import { runArgumentsBody } from '../run-arguments.ts'

/** What an audit needs of the command line's world. */
export function auditSurroundings(cli: Cli, runArguments: readonly string[]) {
  return {
    env: cli.env,
    runArguments,
    runBody: runArgumentsBody(runArguments),
    dewar: () => dewarSocket(cli),
  }
}

/** The engine of this command line, started where that is ours to do. */
async function dewarSocket(cli: Cli): Promise<string> {
  await cli.client()
  const address = parseAddress(cli.place.host)
  if (address.kind === 'unix') return address.path
  throw new Failure(
    `auditing ${cli.place.host} failed: the engine must be on this machine (give its unix socket)`,
    2,
  )
}
