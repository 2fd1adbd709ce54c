import { isRecord } from '../../client/connect.ts'
import type { Info } from '../../client/connect.ts'
import type { Cli } from '../cli.ts'
import { command, none } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { string } from '../flags.ts'
import { unescapeFormat } from '../list.ts'
import { packageVersion } from '../package-root.ts'
import { compileTemplate, TemplateError } from '../template/template.ts'
import { binarySize } from '../text/size.ts'

export const info = command({
  name: 'info',
  summary: 'Display system-wide information',
  usage: '[OPTIONS]',
  arity: none,
  flags: { format: string("Format output using a custom template: 'json' or a Go template", { short: 'f' }) },
  examples: [{ command: "dewar info -f '{{.Driver}}'", about: 'One fact' }],
  run: async (flags, _args, cli) => {
    const client = await cli.client()
    if (flags.format !== '') return showFormatted(flags.format, await client.system.infoRaw(), cli)
    const server = await client.system.info()
    cli.stdout.write(
      `Client:\n Version:    ${packageVersion()}\n Context:    default\n Debug Mode: false\n\nServer:\n${serverText(server)}\n`,
    )
    for (const warning of server.Warnings) cli.warn(warning)
    return 0
  },
})

function showFormatted(format: string, raw: string, cli: Cli): number {
  const parsed: unknown = JSON.parse(raw)
  const clientInfo = {
    Debug: false,
    Version: packageVersion(),
    Context: 'default',
    Plugins: [],
    Warnings: null,
  }
  const all = isRecord(parsed) ? { ...parsed, ClientInfo: clientInfo } : parsed
  try {
    cli.say(compileTemplate(format === 'json' ? '{{json .}}' : unescapeFormat(format)).render(all))
    return 0
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    // Docker tells a template that cannot be read (64) from one that does not fit (1).
    if (error.message.includes(': executing ')) throw new Failure(error.message, 1)
    throw new Failure(`template parsing error: ${error.message}`, 64)
  }
}

function serverText(info: Info): string {
  const line = (label: string, value: string | number | boolean): string =>
    value === '' ? '' : ` ${label}: ${value}\n`
  const always = (label: string, value: string | number | boolean): string => ` ${label}: ${value}\n`
  const indented = (values: readonly string[]): string => values.map((value) => `  ${value}\n`).join('')
  return [
    always('Containers', info.Containers),
    always(' Running', info.ContainersRunning),
    always(' Paused', info.ContainersPaused),
    always(' Stopped', info.ContainersStopped),
    always('Images', info.Images),
    line('Server Version', info.ServerVersion),
    line('Storage Driver', info.Driver),
    indented(info.DriverStatus.map(([key = '', value = '']) => `${key}: ${value}`)),
    line('Logging Driver', info.LoggingDriver),
    line('Cgroup Driver', info.CgroupDriver),
    line('Cgroup Version', info.CgroupVersion),
    ' Plugins:\n',
    always(' Volume', info.Plugins.Volume.join(' ')),
    always(' Network', info.Plugins.Network.join(' ')),
    info.Plugins.Authorization.length === 0
      ? ''
      : always(' Authorization', info.Plugins.Authorization.join(' ')),
    always(' Log', info.Plugins.Log.join(' ')),
    info.CDISpecDirs.length === 0 ? '' : ` CDI spec directories:\n${indented(info.CDISpecDirs)}`,
    always('Swarm', info.Swarm.LocalNodeState),
    Object.keys(info.Runtimes).length === 0
      ? ''
      : always('Runtimes', Object.keys(info.Runtimes).join(' ')) +
        always('Default Runtime', info.DefaultRuntime),
    info.OSType === 'linux' ? linuxText(info) : '',
    line('Kernel Version', info.KernelVersion),
    line('Operating System', info.OperatingSystem),
    line('OSType', info.OSType),
    line('Architecture', info.Architecture),
    always('CPUs', info.NCPU),
    always('Total Memory', binarySize(info.MemTotal)),
    line('Name', info.Name),
    line('ID', info.ID),
    always('Docker Root Dir', info.DockerRootDir),
    always('Debug Mode', info.Debug),
    line('HTTP Proxy', info.HttpProxy),
    line('HTTPS Proxy', info.HttpsProxy),
    line('No Proxy', info.NoProxy),
    info.Labels.length === 0 ? '' : ` Labels:\n${indented(info.Labels)}`,
    always('Experimental', info.ExperimentalBuild),
    registriesText(info),
    always('Live Restore Enabled', info.LiveRestoreEnabled),
  ].join('')
}

function linuxText(info: Info): string {
  const options = info.SecurityOptions.map((option) => new Map(option.split(',').map(pairOf)))
  const lines = options.flatMap((option) => {
    const profile = option.get('profile')
    return [`  ${option.get('name') ?? ''}\n`, profile === undefined ? '' : `   Profile: ${profile}\n`]
  })
  const commits = [info.ContainerdCommit, info.RuncCommit, info.InitCommit].map(({ ID }) => ID)
  return [
    ` Init Binary: ${info.InitBinary}\n`,
    ` containerd version: ${commits[0]}\n runc version: ${commits[1]}\n init version: ${commits[2]}\n`,
    lines.length === 0 ? '' : ` Security Options:\n${lines.join('')}`,
  ].join('')
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? ['name', text] : [text.slice(0, at), text.slice(at + 1)]
}

function registriesText(info: Info): string {
  const insecure = Object.values(info.RegistryConfig.IndexConfigs)
    .filter(({ Secure }) => !Secure)
    .map(({ Name }) => Name)
  const lines = [...insecure, ...info.RegistryConfig.InsecureRegistryCIDRs]
    .map((name) => `  ${name}\n`)
    .join('')
  const shown =
    info.RegistryConfig.InsecureRegistryCIDRs.length + Object.keys(info.RegistryConfig.IndexConfigs).length >
    0
  const mirrors = info.RegistryConfig.Mirrors.map((mirror) => `  ${mirror}\n`).join('')
  return `${shown ? ` Insecure Registries:\n${lines}` : ''}${mirrors === '' ? '' : ` Registry Mirrors:\n${mirrors}`}`
}
