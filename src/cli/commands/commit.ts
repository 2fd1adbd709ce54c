import { between, command } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string, strings } from '../flags.ts'
import { fullRepository, parseImageName, withDefaultTag } from '../image-name.ts'

export const commit = command({
  name: 'commit',
  summary: "Create a new image from a container's changes",
  usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]',
  arity: between(1, 2),
  flags: {
    author: string('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', { short: 'a' }),
    change: strings('Apply Dockerfile instruction to the created image', { short: 'c' }),
    message: string('Commit message', { short: 'm' }),
    pause: bool('Pause container during commit', { short: 'p', initial: true }),
  },
  examples: [
    { command: `dewar commit -c 'CMD ["nginx"]' web web:edited`, about: 'Keep what was changed by hand' },
  ],
  run: async (flags, [container = '', reference = ''], cli) => {
    const name = reference === '' ? undefined : withDefaultTag(parsed(reference))
    const client = await cli.client()
    cli.say(
      await client.containers.commit(container, {
        ...(name === undefined ? {} : { repo: fullRepository(name), tag: name.tag ?? '' }),
        comment: flags.message,
        author: flags.author,
        pause: flags.pause,
        changes: flags.change,
      }),
    )
  },
})

function parsed(reference: string): ReturnType<typeof parseImageName> {
  try {
    return parseImageName(reference)
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error))
  }
}
