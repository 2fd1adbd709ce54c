import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Canary } from '../canary.ts'

/** An ordinary process of the host, a random word in its command line and another in its environment. */
export interface ControlProcess extends AsyncDisposable {
  readonly pid: number
  readonly argv: Canary
  readonly env: Canary
}

export async function controlProcess(uid?: number): Promise<ControlProcess> {
  const [argv, env] = [word('control-argv'), word('control-env')]
  const child = spawn('cat', [], {
    argv0: argv.text,
    env: { CONTROL: env.text },
    stdio: ['pipe', 'ignore', 'ignore'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  const started = new Promise<void>((resolve, reject) => {
    child.once('spawn', () => resolve())
    child.once('error', reject)
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await started
  return {
    pid: child.pid ?? 0,
    argv,
    env,
    // It ends with its input: also when we are killed.
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await ended
    },
  }
}

function word(asset: string): Canary {
  const text = randomBytes(16).toString('hex')
  return { asset, text, bytes: Buffer.from(text) }
}
