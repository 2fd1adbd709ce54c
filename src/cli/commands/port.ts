import { between, command } from '../command-spec.ts'
import { Failure } from '../failure.ts'
import { joinHostPort } from '../text/ports.ts'

export const port = command({
  name: 'port',
  summary: 'List port mappings or a specific mapping for the container',
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  arity: between(1, 2),
  flags: {},
  examples: [{ command: 'dewar port web 80', about: 'Where port 80 of the container is on the host' }],
  run: async (_flags, [name = '', wanted = ''], cli) => {
    const client = await cli.client()
    const { NetworkSettings } = await client.containers.inspect(name)
    const lines =
      wanted === '' ? allPorts(NetworkSettings.Ports) : onePort(NetworkSettings.Ports, wanted, name)
    if (lines.length > 0) cli.say(lines.sort(natural).join('\n'))
  },
})

type Bindings = Readonly<
  Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | undefined>
>

function allPorts(ports: Bindings): string[] {
  return Object.entries(ports).flatMap(([inner, bindings]) =>
    (bindings ?? []).map(({ HostIp, HostPort }) => `${inner} -> ${joinHostPort(HostIp, HostPort)}`),
  )
}

function onePort(ports: Bindings, wanted: string, name: string): string[] {
  const [number = '', protocol = ''] = wanted.split('/')
  if (!/^\d+$/.test(number))
    throw new Failure(
      `Error: invalid port (${number}): strconv.ParseUint: parsing "${number}": invalid syntax`,
    )
  const bindings = ports[`${number}/${protocol === '' ? 'tcp' : protocol}`] ?? []
  if (bindings.length === 0) throw new Failure(`Error: No public port '${wanted}' published for ${name}`)
  return bindings.map(({ HostIp, HostPort }) => joinHostPort(HostIp, HostPort))
}

/** Numbers by value, all else by code: a locale would put "[::]" before "0.0.0.0", and scripts read the first line. */
export function natural(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.match(/\d+|\D+/g) ?? [])
  for (const [i, part] of (left ?? []).entries()) {
    const other = right?.[i] ?? ''
    if (part === other) continue
    if (/^\d/.test(part) && /^\d/.test(other)) return Number(part) - Number(other)
    return part < other ? -1 : 1
  }
  return (left?.length ?? 0) - (right?.length ?? 0)
}
