/** `dewar`: argv in, exit code out. The rest of the CLI is loaded by need, so that the start costs what bare Node costs. */
import { runArgv } from './run-argv.ts'

// A reader that went away (`dewar logs x | head`) is no error: end like a program killed by SIGPIPE would.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : 1))
}

const code = await runArgv(process.argv.slice(2), process)
// Not process.exit at once: what is on its way to a pipe must arrive.
process.exitCode = code
if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit(code)
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
