import { ClientError } from './error.ts'

/** Where an engine listens: a unix socket's path, or a host and port. */
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/**
 * Reads Docker's notation: `unix:///run/dewar/dewar.sock`, `/run/dewar/dewar.sock`, `tcp://127.0.0.1:2375`.
 *
 * @example
 * parseAddress('unix:///run/dewar/dewar.sock') // { kind: 'unix', path: '/run/dewar/dewar.sock' }
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix://')) return unixAddress(text.slice('unix://'.length), text)
  if (text.startsWith('/')) return unixAddress(text, text)
  const match = /^(?:tcp|http):\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?\/?$/.exec(text)
  if (match?.[1] === undefined) {
    throw new ClientError(
      0,
      `unable to parse docker host \`${text}\` (use unix:///path/to/socket or tcp://host:port)`,
    )
  }
  return { kind: 'tcp', host: match[1].replace(/^\[|\]$/g, ''), port: Number(match[2] ?? 2375) }
}

function unixAddress(path: string, text: string): Address {
  if (path === '')
    throw new ClientError(0, `unable to parse docker host \`${text}\` (the path of the socket is missing)`)
  return { kind: 'unix', path }
}

/** Docker's notation of an address. */
export function formatAddress(address: Address): string {
  return address.kind === 'unix' ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`
}
