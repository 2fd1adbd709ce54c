import { pipeline } from 'node:stream/promises'
import { coloursOn } from './cli.ts'
import { command, none } from './command-spec.ts'
import { builtinImage as makeBuiltinImage } from './experiment/builtin-image.ts'
import { runExperiment } from './experiment/run.ts'
import { Failure } from './failure.ts'
import { integer, string } from './flags.ts'

/** `dewar experiment`: what `npm start` runs. */
export const experiment = command({
  name: 'experiment',
  usage: '',
  summary: 'Start a web server in a container and see what the host finds of it',
  arity: none,
  flags: {
    engine: string('Try it on this engine (unix:///var/run/docker.sock) instead of one of its own', {
      value: 'address',
    }),
    port: integer('First port to try', { initial: 8080 }),
  },
  examples: [
    { command: 'dewar experiment', about: 'On an engine of its own, that is removed afterwards' },
    { command: 'dewar experiment --engine unix:///var/run/docker.sock', about: 'The same on Docker' },
  ],
  run: async (flags, _args, cli) => {
    const interrupted = new AbortController()
    const stop = (): void => interrupted.abort(new Error('interrupted'))
    // `on`, not `once`: an impatient second Ctrl-C must not leave a container behind.
    process.on('SIGINT', stop).on('SIGTERM', stop)
    const { signal } = interrupted
    const host = flags.engine === '' ? {} : { host: flags.engine }
    try {
      await runExperiment({
        out: cli.stdout,
        coloured: coloursOn(cli.stdout, cli.env),
        env: cli.env,
        signal,
        port: flags.port,
        ...host,
      })
    } catch (error) {
      if (!signal.aborted) throw error
      throw new Failure('interrupted: everything is removed', 130, error)
    } finally {
      process.off('SIGINT', stop).off('SIGTERM', stop)
    }
  },
})

/** `dewar builtin-image`: the experiment's image for other engines, as in `dewar builtin-image | docker load`. */
export const builtinImage = command({
  name: 'builtin-image',
  usage: '',
  summary: "Write an image made from this host's own programs to standard output",
  arity: none,
  flags: {},
  examples: [{ command: 'dewar builtin-image | docker load', about: 'Give it to another engine' }],
  run: async (_flags, _args, cli) => {
    if (cli.stdout.isTTY) {
      throw new Failure(
        'cowardly refusing to write an image to a terminal (redirect it: dewar builtin-image > image.tar)',
        125,
      )
    }
    const image = await makeBuiltinImage()
    await pipeline(image.stream(), cli.stdout)
  },
})
