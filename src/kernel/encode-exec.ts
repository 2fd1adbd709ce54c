/** What the step exec is encoded to. */
import type { Action } from './plan.ts'

interface ExecStrings {
  readonly numbers: readonly number[]
  readonly texts: readonly string[]
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const PATH_MAX = 4096
/** How the core knows that it is to be the small init (native/core.c); this is what `ps` shows under Docker, too. */
const INIT = ['/sbin/docker-init', '--']

/** The arguments, the files to try for the program (docker-init looks for it itself), the environment. */
export function execStrings({ argv, env, init }: Extract<Action, { op: 'exec' }>): ExecStrings {
  const [program = ''] = argv
  const path = env.findLast((variable) => variable.startsWith('PATH='))?.slice(5) ?? DEFAULT_PATH
  const found = path
    .split(':')
    .filter((folder) => folder !== '' && program !== '')
    .map((folder) => `${folder}/${program}`)
    .filter((file) => Buffer.byteLength(file) < PATH_MAX)
  const files = init ? [] : program.includes('/') ? [program] : found
  const args = init ? [...INIT, ...argv] : argv
  return { numbers: [init ? 1 : 0, args.length, files.length], texts: [...args, ...files, ...env] }
}
