/** `top`: the host's ps, narrowed to a container's processes. */
import { execFile } from 'node:child_process'
import { DewarError } from '../base/errors.ts'

export interface ProcessTable {
  readonly titles: readonly string[]
  readonly processes: readonly (readonly string[])[]
}

export async function processTable(pids: readonly number[], psArgs: string): Promise<ProcessTable> {
  const args = psArgs.trim() === '' ? ['-ef'] : psArgs.trim().split(/\s+/)
  checkArgs(args)
  // Asked for these alone, ps need not be told with -e; some options exclude that, and are tried without it.
  const output = await ps([`-q${pids.join(',')}`, ...args]).catch(() => ps(args))
  return selectProcesses(output, new Set(pids))
}

function checkArgs(args: readonly string[]): void {
  for (const arg of args) {
    // Thread views repeat a pid per line, and sort options or selections by others' pids are nothing a container needs.
    if (!/^[a-zA-Z0-9,=:_%.+-]+$/.test(arg))
      throw new DewarError('invalid-argument', `invalid ps argument ${JSON.stringify(arg)}`)
  }
}

function ps(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('ps', [...args], { maxBuffer: 16 * 1024 * 1024, timeout: 10_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new DewarError('system', `Error running ps: ${stderr.trim() || error.message}`))
    })
  })
}

/** Pure: the header's columns, and the lines whose PID column is in the set. The last column takes what is left. */
export function selectProcesses(output: string, pids: ReadonlySet<number>): ProcessTable {
  const [head = '', ...lines] = output.split('\n')
  const titles = head.trim().split(/\s+/)
  const column = titles.indexOf('PID')
  if (column === -1) throw new DewarError('invalid-argument', "Couldn't find PID field in ps output")
  const processes = lines
    .filter((line) => line.trim() !== '')
    .map((line) => splitLine(line, titles.length))
    .filter((fields) => pids.has(Number(fields[column])))
  return { titles, processes }
}

function splitLine(line: string, columns: number): string[] {
  const fields = line.trim().split(/\s+/)
  return [...fields.slice(0, columns - 1), fields.slice(columns - 1).join(' ')]
}
