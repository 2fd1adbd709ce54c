import { command, exactly } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { familiarName, familiarRepository, withDefaultTag } from '../image-name.ts'
import { authFor } from '../pull-image.ts'
import { showProgress } from '../progress.ts'
import { imageName } from './pull.ts'

export const push = command({
  name: 'push',
  summary: 'Upload an image to a registry',
  usage: '[OPTIONS] NAME[:TAG]',
  arity: exactly(1),
  flags: {
    'all-tags': bool('Push all tags of an image to the repository', { short: 'a' }),
    'disable-content-trust': bool('Accepted for docker; has no effect', { initial: true, hidden: true }),
    platform: string('Push a platform-specific manifest'),
    quiet: bool('Suppress verbose output', { short: 'q' }),
  },
  examples: [
    { command: 'dewar push registry.example.com/team/app:1.0', about: 'After `dewar tag` and `dewar login`' },
  ],
  run: async (flags, [reference = ''], cli) => {
    const named = imageName(reference)
    if (flags['all-tags'] && named.tag !== undefined)
      throw new Failure("tag can't be used with --all-tags/-a")
    const name = flags['all-tags'] ? named : withDefaultTag(named)
    if (!flags['all-tags'] && named.tag === undefined && !flags.quiet) cli.say('Using default tag: latest')
    const auth = await authFor(name, cli)
    const client = await cli.client()
    const lines = client.images.push(familiarRepository(name), {
      ...(name.tag === undefined ? {} : { tag: name.tag }),
      ...(flags.platform === '' ? {} : { platform: flags.platform }),
      ...(auth === undefined ? {} : { auth }),
    })
    if (!flags.quiet) return showProgress(lines, cli.stdout)
    for await (const line of lines) {
      const problem = line.errorDetail?.message ?? line.error
      if (problem !== '') throw new Failure(problem)
    }
    cli.say(flags['all-tags'] ? familiarRepository(name) : familiarName(name))
  },
})
