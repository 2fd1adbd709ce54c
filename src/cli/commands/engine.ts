import { pathToFileURL } from 'node:url'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string, strings } from '../flags.ts'
import { daemonProgram } from '../package-root.ts'

/** Flags that are handed to the engine's program as they are. */
const PASSED = [
  ...(['root', 'run', 'bridge', 'subnet', 'isolation', 'registry-mirror', 'insecure-registry'] as const),
  ...(['tlscacert', 'tlscert', 'tlskey'] as const),
]

export const engine = command({
  name: 'engine',
  summary: 'Run the engine in the foreground',
  usage: '[OPTIONS]',
  arity: none,
  flags: {
    bridge: string('Name of the default bridge'),
    debug: bool('Log more', { short: 'D' }),
    host: strings('Socket to listen on (default unix://RUN/dewar.sock)', { short: 'H' }),
    'insecure-registry': strings('Registry to speak http with (host[:port]); may be given many times'),
    isolation: string('Level of containers that name none (default namespaces)'),
    'registry-mirror': strings('Mirror of Docker Hub to ask first; may be given many times'),
    root: string('Folder for images, volumes and containers (default /var/lib/dewar)'),
    run: string('Folder for what runs: sockets, logs of the engine (default /run/dewar)'),
    subnet: string('Addresses of the default bridge (CIDR)'),
    tlscacert: string('Serve -H tcp:// to clients whose certificate this authority has signed (PEM)'),
    tlscert: string('Certificate of the server (PEM)'),
    tlskey: string('Key of that certificate (PEM)'),
    tlsverify: bool('Ask clients of -H tcp:// for a certificate; there is no TCP without'),
  },
  examples: [
    { command: 'dewar engine', about: 'The engine of this machine; any other command starts it by itself' },
    {
      command:
        'dewar engine --root /tmp/r --run /tmp/e -H unix:///tmp/e/dewar.sock --bridge dwr1 --subnet 10.99.0.0/24',
      about: 'A second one beside it',
    },
  ],
  run: async (flags, _args, cli) => {
    if (process.getuid?.() !== 0)
      throw new Failure(
        'running the engine failed: it makes namespaces, mounts and networks, which needs root (use sudo)',
        125,
      )
    const root = flags.root === '' ? (cli.place.root ?? '') : flags.root
    const run = flags.run === '' ? (cli.place.run ?? '') : flags.run
    const values = { ...flags, root, run }
    const passed = PASSED.flatMap((name) =>
      [values[name]]
        .flat()
        .filter((value) => value !== '')
        .flatMap((value) => [`--${name}`, value]),
    )
    const hosts = (flags.host.length > 0 ? flags.host : [cli.place.host]).flatMap((host) => ['-H', host])
    return runForeground([
      ...passed,
      ...hosts,
      ...(flags.debug ? ['--debug'] : []),
      ...(flags.tlsverify ? ['--tlsverify'] : []),
    ])
  },
})

/**
 * The engine in this process, as exec(3) would have it: a unit's main process is the engine, and kill -9 leaves no other
 * half. By path, since the command line may not depend on the engine.
 */
async function runForeground(args: readonly string[]): Promise<number> {
  const program: unknown = await import(pathToFileURL(daemonProgram()).href)
  if (!isDaemon(program))
    throw new Failure(`running the engine failed: ${daemonProgram()} is of another version`, 125)
  // A command ends when its reader does; the engine does not.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error')
  return program.runDaemon(args)
}

interface Daemon {
  readonly runDaemon: (argv: readonly string[]) => Promise<number>
}

const isDaemon = (program: unknown): program is Daemon =>
  typeof program === 'object' &&
  program !== null &&
  'runDaemon' in program &&
  typeof program.runDaemon === 'function'
