import { ClientError, isNotFound } from '../../client/connect.ts'
import { atLeast, command, exactly } from '../command-spec.ts'
import type { CommandSpec } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, strings } from '../flags.ts'
import { fullRepository, parseImageName, withDefaultTag } from '../image-name.ts'
import { platformQuery } from '../platform.ts'
import { engineMessage } from '../run-argv.ts'

export const rmi = removeCommand('rmi')
export const imageRemove = removeCommand('rm')

function removeCommand(name: string): CommandSpec {
  return command({
    name,
    summary: 'Remove one or more images',
    usage: '[OPTIONS] IMAGE [IMAGE...]',
    arity: atLeast(1),
    flags: {
      force: bool('Force removal of the image', { short: 'f' }),
      'no-prune': bool('Do not delete untagged parents'),
      platform: strings('Remove only when it is for this platform (os[/arch[/variant]])', {
        value: 'strings',
      }),
    },
    examples: [{ command: 'dewar rmi nginx:1.27 9f1e2d3c4b5a', about: 'By name and by id' }],
    run: async (flags, names, cli) => {
      const platforms = flags.platform
        .flatMap((list) => list.split(','))
        .flatMap((one) => platformQuery(one) ?? [])
      const { images } = await cli.client()
      const errors: ClientError[] = []
      for (const image of names) {
        try {
          for (const { Deleted, Untagged } of await images.remove(image, {
            force: flags.force,
            noPrune: flags['no-prune'],
            platforms,
          })) {
            cli.say(Deleted === '' ? `Untagged: ${Untagged}` : `Deleted: ${Deleted}`)
          }
        } catch (error) {
          if (!(error instanceof ClientError)) throw error
          errors.push(error)
        }
      }
      if (errors.length === 0) return 0
      const text = errors.map(engineMessage).join('\n')
      // With --force a missing image is said and forgiven, as `rm -f` does.
      if (!flags.force || !errors.every(isNotFound)) throw new Failure(text)
      cli.warn(text)
      return 0
    },
  })
}

export const tag = command({
  name: 'tag',
  summary: 'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  arity: exactly(2),
  flags: {},
  examples: [
    {
      command: 'dewar tag app:latest registry.example.com/team/app:1.0',
      about: 'Name it for a registry, then push it',
    },
  ],
  run: async (_flags, [source = '', target = ''], cli) => {
    const name = withDefaultTag(targetName(target))
    if (name.digest !== undefined) throw new Failure('refusing to create a tag with a digest reference')
    const { images } = await cli.client()
    await images.tag(source, fullRepository(name), name.tag ?? 'latest')
  },
})

function targetName(text: string): ReturnType<typeof parseImageName> {
  try {
    return parseImageName(text)
  } catch (error) {
    throw new Failure(
      `Error parsing reference: ${JSON.stringify(text)} is not a valid repository/tag: ${error instanceof Error ? error.message : ''}`,
    )
  }
}
