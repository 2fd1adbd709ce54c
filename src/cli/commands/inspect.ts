import { ClientError, isNotFound, isRecord } from '../../client/connect.ts'
import type { Client } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { atLeast, command } from '../command-spec.ts'
import type { CommandSpec } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { bool, string } from '../flags.ts'
import { withGoZeroes } from '../inspect-zeroes.ts'
import { unescapeFormat } from '../list.ts'
import { engineMessage } from '../run-argv.ts'
import { platformQuery } from '../platform.ts'
import { compileTemplate, TemplateError } from '../template/template.ts'
import type { Template } from '../template/template.ts'
import { layOutJson } from '../text/json.ts'

type Kind = 'container' | 'image' | 'network' | 'volume'
type Fetch = (name: string) => Promise<{ readonly kind: Kind; readonly raw: string }>

const FORMAT = string("Format output using a custom template: 'json' or a Go template", { short: 'f' })
const TYPES = [
  'config',
  'container',
  'image',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'task',
  'volume',
]

export const inspect = command({
  name: 'inspect',
  summary: 'Return low-level information on Docker objects',
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  arity: atLeast(1),
  flags: {
    format: FORMAT,
    size: bool('Display total file sizes if the type is container', { short: 's' }),
    type: string('Only inspect objects of the given type'),
  },
  examples: [
    {
      command: "dewar inspect -f '{{.State.Status}} {{.State.ExitCode}}' web",
      about: 'Two facts of a container',
    },
    {
      command: "dewar inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' web",
      about: 'Its address',
    },
    { command: "dewar inspect -f '{{json .Config}}' web", about: 'A part as JSON' },
  ],
  run: async (flags, names, cli) => {
    if (flags.given.has('type') && flags.type === '')
      throw new Failure(`type is empty: must be one of ${quotedTypes()}`)
    if (flags.type !== '' && !TYPES.includes(flags.type))
      throw new Failure(`unknown type: "${flags.type}": must be one of ${quotedTypes()}`)
    const client = await cli.client()
    await inspectEach(names, flags.format, anyKind(client, flags.type, flags.size, cli), cli)
  },
})

export const inspectContainer = oneKind(
  'container',
  'Display detailed information on one or more containers',
  'CONTAINER [CONTAINER...]',
)
export const inspectImage = oneKind(
  'image',
  'Display detailed information on one or more images',
  'IMAGE [IMAGE...]',
)
export const inspectNetwork = oneKind(
  'network',
  'Display detailed information on one or more networks',
  'NETWORK [NETWORK...]',
)
export const inspectVolume = oneKind(
  'volume',
  'Display detailed information on one or more volumes',
  'VOLUME [VOLUME...]',
)

function quotedTypes(): string {
  return TYPES.map((type) => `"${type}"`).join(', ')
}

function oneKind(kind: Kind, summary: string, usage: string): CommandSpec {
  return command({
    name: 'inspect',
    summary,
    usage: `[OPTIONS] ${usage}`,
    arity: atLeast(1),
    flags: {
      format: FORMAT,
      ...(kind === 'container' ? { size: bool('Display total file sizes', { short: 's' }) } : {}),
      ...(kind === 'image'
        ? { platform: string('Fail when the image is not for this platform (os[/arch[/variant]])') }
        : {}),
      ...(kind === 'network' ? { verbose: bool('Verbose output for diagnostics', { short: 'v' }) } : {}),
    },
    examples: [{ command: `dewar ${kind} inspect -f '{{json .}}' NAME`, about: 'As one line of JSON' }],
    run: async (flags, names, cli) => {
      const size = 'size' in flags && flags.size === true
      const platform = 'platform' in flags ? platformQuery(flags.platform ?? '') : undefined
      const client = await cli.client()
      await inspectEach(
        names,
        flags.format,
        async (name) => ({ kind, raw: await fetchers(client, { size, platform })[kind](name) }),
        cli,
      )
    },
  })
}

interface Asked {
  readonly size: boolean
  readonly platform?: string | undefined
}

function fetchers(
  client: Client,
  { size, platform }: Asked,
): Record<Kind, (name: string) => Promise<string>> {
  return {
    container: (name) => client.containers.inspectRaw(name, { size }),
    image: (name) => client.images.inspectRaw(name, { platform }),
    network: (name) => client.networks.inspectRaw(name),
    volume: (name) => client.volumes.inspectRaw(name),
  }
}

/** Tries the kinds in docker's order; the first that knows the name answers. */
function anyKind(client: Client, type: string, size: boolean, cli: Cli): Fetch {
  const all = Object.entries(fetchers(client, { size }))
  return async (name) => {
    for (const [kind, fetch] of all) {
      if (!isKind(kind) || (type !== '' && kind !== type)) continue
      try {
        const raw = await fetch(name)
        if (size && kind !== 'container') cli.warn(`WARNING: --size ignored for ${kind}`)
        return { kind, raw }
      } catch (error) {
        const skip =
          type === '' &&
          (isNotFound(error) ||
            (error instanceof ClientError && /not supported|invalid reference format/.test(error.message)))
        if (!skip) throw error
      }
    }
    throw new Failure(`Error: No such object: ${name}`)
  }
}

function isKind(text: string): text is Kind {
  return ['container', 'image', 'network', 'volume'].includes(text)
}

/** Fetches each, shows what was found in one piece, then fails with what was not. */
async function inspectEach(names: readonly string[], format: string, fetch: Fetch, cli: Cli): Promise<void> {
  const template = format === '' || format === 'json' ? undefined : compiled(format)
  const shown: string[] = []
  const errors: string[] = []
  for (const name of names) {
    try {
      const { kind, raw } = await fetch(name)
      shown.push(template === undefined ? raw : renderOne(template, raw, kind))
    } catch (error) {
      if (error instanceof ClientError) errors.push(engineMessage(error))
      else if (error instanceof Failure) errors.push(error.message)
      else if (error instanceof TemplateError) errors.push(`template parsing error: ${error.message}`)
      else throw error
    }
  }
  if (template !== undefined) cli.say(shown.join('\n'))
  else cli.say(layOutJson(`[${shown.join(',')}]`, format === 'json' ? '' : '    '))
  if (errors.length > 0) throw new Failure(errors.join('\n'))
}

function compiled(format: string): Template {
  try {
    return compileTemplate(unescapeFormat(format))
  } catch (error) {
    if (error instanceof TemplateError) throw new Failure(`template parsing error: ${error.message}`, 64)
    throw error
  }
}

function renderOne(template: Template, raw: string, kind: Kind): string {
  const value: unknown = JSON.parse(raw)
  return template.render(isRecord(value) ? withGoZeroes(kind, value) : value)
}
