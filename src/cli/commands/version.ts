import { ClientError } from '../../client/connect.ts'
import type { VersionInfo } from '../../client/connect.ts'
import { NEWEST_API } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { string } from '../flags.ts'
import { unescapeFormat } from '../list.ts'
import { packageVersion } from '../package-root.ts'
import { compileTemplate, TemplateError } from '../template/template.ts'
import { tabulate } from '../text/tabwriter.ts'
import { ansiTime } from '../text/time.ts'

export const version = command({
  name: 'version',
  summary: 'Show the version information',
  usage: '[OPTIONS]',
  arity: none,
  flags: { format: string("Format output using a custom template: 'json' or a Go template", { short: 'f' }) },
  examples: [{ command: "dewar version -f '{{.Server.Version}}'", about: "The engine's version alone" }],
  run: async (flags, _args, cli) => {
    const { server, api, problem } = await ask(cli)
    const info = {
      Client: {
        Version: packageVersion(),
        ApiVersion: api,
        DefaultAPIVersion: NEWEST_API,
        GitCommit: '',
        GoVersion: '',
        NodeVersion: process.version,
        Os: process.platform,
        Arch: process.arch === 'x64' ? 'amd64' : process.arch,
        BuildTime: '',
        Context: 'default',
        APIVersion: api,
      },
      // Go's names beside JSON's: people write {{.Server.APIVersion}}.
      Server: server === undefined ? null : { ...server, APIVersion: server.ApiVersion },
    }
    cli.stdout.write(flags.format === '' ? pretty(info.Client, server) : formatted(flags.format, info))
    if (problem !== undefined) throw problem
  },
})

/** The client's part is shown even when no engine answers. */
async function ask(cli: Cli): Promise<{ server?: VersionInfo; api: string; problem?: Error }> {
  try {
    const client = await cli.client()
    return { server: await client.system.version(), api: client.apiVersion }
  } catch (error) {
    if (error instanceof ClientError || error instanceof Failure) return { api: NEWEST_API, problem: error }
    throw error
  }
}

function formatted(format: string, info: object): string {
  try {
    return `${compileTemplate(format === 'json' ? '{{json .}}' : unescapeFormat(format)).render(info)}\n`
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    // Docker tells a template that cannot be read (64) from one that does not fit (1).
    if (error.message.includes(': executing ')) throw new Failure(error.message, 1)
    throw new Failure(`template parsing error: ${error.message}`, 64)
  }
}

interface ClientVersion {
  readonly Version: string
  readonly ApiVersion: string
  readonly NodeVersion: string
  readonly Os: string
  readonly Arch: string
}

function pretty(client: ClientVersion, server: VersionInfo | undefined): string {
  const downgraded = client.ApiVersion === NEWEST_API ? '' : ` (downgraded from ${NEWEST_API})`
  const lines = [
    'Client:',
    ` Version:\t${client.Version}`,
    ` API version:\t${client.ApiVersion}${downgraded}`,
    ` Node version:\t${client.NodeVersion}`,
    ` OS/Arch:\t${client.Os}/${client.Arch}`,
    ' Context:\tdefault',
    ...(server === undefined ? [] : serverLines(server)),
  ]
  return `${tabulate(lines.join('\n'), { minWidth: 20, padding: 1 })}\n`
}

function serverLines(server: VersionInfo): string[] {
  const name = server.Platform.Name === '' ? '' : ` ${server.Platform.Name}`
  return ['', `Server:${name}`, ...server.Components.flatMap(componentLines)]
}

function componentLines({ Name, Version, Details }: VersionInfo['Components'][number]): string[] {
  const detail = (key: string): string => Details[key] ?? ''
  if (Name !== 'Engine') {
    return [
      ` ${Name}:`,
      `  Version:\t${Version}`,
      ...Object.keys(Details)
        .sort()
        .map((key) => `  ${key}:\t${Details[key]}`),
    ]
  }
  return [
    ' Engine:',
    `  Version:\t${Version}`,
    `  API version:\t${detail('ApiVersion')} (minimum version ${detail('MinAPIVersion')})`,
    ...(detail('GoVersion') === '' ? [] : [`  Go version:\t${detail('GoVersion')}`]),
    `  Git commit:\t${detail('GitCommit')}`,
    `  Built:\t${ansiTime(detail('BuildTime'))}`,
    `  OS/Arch:\t${detail('Os')}/${detail('Arch')}`,
    `  Experimental:\t${detail('Experimental')}`,
  ]
}
