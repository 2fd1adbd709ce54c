import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string, strings } from '../flags.ts'
import { daemonProgram } from '../package-root.ts'

/** Flags that are handed to the engine's program as they are. */
const PASSED = [
  ...(['root', 'run', 'bridge', 'subnet', 'registry-mirror', 'insecure-registry'] as const),
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
      daemonProgram(),
      ...passed,
      ...hosts,
      ...(flags.debug ? ['--debug'] : []),
      ...(flags.tlsverify ? ['--tlsverify'] : []),
    ])
  },
})

/** The engine as our child: same terminal, signals passed on, its exit code ours. */
function runForeground(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'] as const
  const handlers = signals.map((signal) => {
    const handler = (): void => void child.kill(signal)
    process.on(signal, handler)
    return { signal, handler }
  })
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new Failure(`running the engine failed: ${error.message}`, 125, error)),
    )
    child.once('exit', (code, signal) => {
      handlers.forEach(({ signal: name, handler }) => process.off(name, handler))
      resolve(signal === null ? (code ?? 0) : 128 + constants.signals[signal])
    })
  })
}
