import { command, exactly } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { familiarRepository, fullRepository, parseImageName, withDefaultTag } from '../image-name.ts'
import type { ImageName } from '../image-name.ts'
import { pullImage } from '../pull-image.ts'

export const pull = command({
  name: 'pull',
  summary: 'Download an image from a registry',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  arity: exactly(1),
  flags: {
    'all-tags': bool('Download all tagged images in the repository', { short: 'a' }),
    'disable-content-trust': bool('Accepted for docker; has no effect', { initial: true, hidden: true }),
    platform: string('Set platform if server is multi-platform capable'),
    quiet: bool('Suppress verbose output', { short: 'q' }),
  },
  examples: [
    { command: 'dewar pull nginx', about: 'docker.io/library/nginx:latest' },
    { command: 'dewar pull --platform linux/arm64 debian:12', about: 'For another machine' },
  ],
  run: async (flags, [reference = ''], cli) => {
    const named = imageName(reference)
    const onlyName = named.tag === undefined && named.digest === undefined
    if (flags['all-tags'] && !onlyName) throw new Failure("tag can't be used with --all-tags/-a")
    const name = flags['all-tags'] ? named : withDefaultTag(named)
    if (onlyName && !flags['all-tags'] && !flags.quiet) cli.say('Using default tag: latest')
    const client = await cli.client()
    await pullImage(
      client,
      { name, platform: flags.platform, all: flags['all-tags'], out: flags.quiet ? undefined : cli.stdout },
      cli,
    )
    cli.say(shown(name, flags['all-tags']))
  },
})

export function imageName(text: string): ImageName {
  try {
    return parseImageName(text)
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error), 1, error)
  }
}

function shown(name: ImageName, all: boolean): string {
  if (all) return familiarRepository(name)
  const digest = name.digest === undefined ? '' : `@${name.digest}`
  return `${fullRepository(name)}${name.tag === undefined ? '' : `:${name.tag}`}${digest}`
}
