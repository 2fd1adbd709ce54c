/** `dewar`: argv in, exit code out. The rest of the CLI is loaded by need, so that the start costs what bare Node costs. */
import { runArgv } from './run-argv.ts'

// A reader that went away (`dewar logs x | head`) is no error: end like a program killed by SIGPIPE would. A full disk is one;
// of an audit 1 says that a policy is broken, which nobody could read here.
process.stderr.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : 1))
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(141)
  process.stderr.write(
    `writing the output failed: ${error.code ?? error.message} (make room, or write elsewhere)\n`,
  )
  process.exit(process.argv.includes('audit') ? 2 : 1)
})

const code = await runArgv(process.argv.slice(2), process)
// Not process.exit at once: what is on its way to a pipe must arrive.
process.exitCode = code
// What a write to a file failed of is told in the next turn.
await new Promise((resolve) => setImmediate(resolve))
if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit(code)
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
