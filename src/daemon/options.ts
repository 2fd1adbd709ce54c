/** The engine process's own command line. `dewar engine` passes its arguments through. */
import { isAbsolute, resolve } from 'node:path'
import { DewarError } from '../base/errors.ts'
import { isLevelName } from '../engine/options.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { TcpAddress, TlsFiles } from './tls.ts'

export interface DaemonOptions {
  readonly engine: EngineOptions
  /** Absolute paths of the sockets to serve; at least one, unless there is a TCP address. */
  readonly sockets: readonly string[]
  /** Addresses to serve by TLS. */
  readonly tcp: readonly TcpAddress[]
  /** Given whenever `tcp` has one. */
  readonly tls: TlsFiles | undefined
}

type Sink = (value: string, draft: Draft) => void

interface Draft {
  root: string
  run: string
  sockets: string[]
  tcp: TcpAddress[]
  tlsVerify: boolean
  tls: { ca?: string; cert?: string; key?: string }
  mirrors: string[]
  insecure: string[]
  bridge?: string
  subnet?: string
  defaultLevel?: NonNullable<EngineOptions['defaultLevel']>
}

const FLAGS: Readonly<Record<string, Sink>> = {
  '--root': (value, draft) => void (draft.root = resolve(value)),
  '--run': (value, draft) => void (draft.run = resolve(value)),
  '--host': (value, draft) => addHost(value, draft),
  '--bridge': (value, draft) => void (draft.bridge = value),
  '--subnet': (value, draft) => void (draft.subnet = value),
  '--tlsverify': (value, draft) => void (draft.tlsVerify = parseFlag('--tlsverify', value)),
  '--tlscacert': (value, draft) => void (draft.tls.ca = resolve(value)),
  '--tlscert': (value, draft) => void (draft.tls.cert = resolve(value)),
  '--tlskey': (value, draft) => void (draft.tls.key = resolve(value)),
  '--registry-mirror': (value, draft) => void draft.mirrors.push(parseMirror(value)),
  '--insecure-registry': (value, draft) => void draft.insecure.push(value),
  '--isolation': (value, draft) => void (draft.defaultLevel = parseLevel(value)),
  // Errors and warnings are few and always said; the flag is taken so that dockerd's command lines work.
  '--log-level': parseLogLevel,
  '--debug': () => undefined,
}
/** True when nothing is said. */
const SWITCHES = new Set(['--tlsverify', '--debug'])
const SHORT: Readonly<Record<string, string>> = { '-H': '--host', '-l': '--log-level' }

/** Takes `--flag value` and `--flag=value`. Throws invalid-argument for what it does not know. */
export function parseDaemonOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DaemonOptions {
  const draft: Draft = {
    ...defaultFolders(env),
    sockets: [],
    tcp: [],
    tlsVerify: false,
    tls: {},
    mirrors: [],
    insecure: [],
  }
  const rest = [...argv]
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const { flag, inline } = splitFlag(arg)
    const sink = FLAGS[flag]
    if (sink === undefined)
      throw bad(`unknown option ${JSON.stringify(arg)}`, `known are ${Object.keys(FLAGS).join(', ')}, -H`)
    const value = inline ?? (SWITCHES.has(flag) ? 'true' : rest.shift())
    if (value === undefined || value === '') throw bad(`option ${flag} has no value`, `write ${flag} VALUE`)
    sink(value, draft)
  }
  return finish(draft)
}

function finish({
  root,
  run,
  sockets,
  tcp,
  tls,
  tlsVerify,
  mirrors,
  insecure,
  ...named
}: Draft): DaemonOptions {
  const files = completeTls(tls, tlsVerify, tcp[0])
  return {
    engine: { root, run, registryMirrors: mirrors, insecureRegistries: insecure, ...named },
    sockets: sockets.length === 0 && tcp.length === 0 ? [`${run}/dewar.sock`] : sockets,
    tcp,
    tls: files,
  }
}

/** Without client certificates there is no TCP: nothing else tells a client from a stranger. */
function completeTls(
  tls: Draft['tls'],
  verify: boolean,
  first: TcpAddress | undefined,
): TlsFiles | undefined {
  const { ca, cert, key } = tls
  const complete = verify && ca !== undefined && cert !== undefined && key !== undefined
  if (complete) return { ca, cert, key }
  if (first !== undefined) {
    throw bad(
      `cannot listen on tcp://${first.host}:${first.port} without TLS client certificates: whoever reaches the API is root on this machine`,
      'add --tlsverify --tlscacert FILE --tlscert FILE --tlskey FILE, or use unix:///path, and ssh to reach it from elsewhere',
    )
  }
  if (verify || ca !== undefined || cert !== undefined || key !== undefined)
    throw bad(
      'the TLS flags are not complete',
      'give --tlsverify, --tlscacert, --tlscert and --tlskey together',
    )
  return undefined
}

function splitFlag(arg: string): { flag: string; inline?: string } {
  const cut = arg.startsWith('--') ? arg.indexOf('=') : -1
  if (cut !== -1) return { flag: arg.slice(0, cut), inline: arg.slice(cut + 1) }
  const short = SHORT[arg.slice(0, 2)]
  if (short === undefined) return { flag: arg }
  const inline = arg.slice(2).replace(/^=/, '')
  return inline === '' ? { flag: short } : { flag: short, inline }
}

/** Root's folders, or the user's own when not root. */
function defaultFolders(env: Readonly<Record<string, string | undefined>>): { root: string; run: string } {
  const uid = process.getuid?.() ?? 0
  if (uid === 0) return { root: '/var/lib/dewar', run: '/run/dewar' }
  const home = env['HOME'] ?? '/'
  return {
    root: `${env['XDG_DATA_HOME'] ?? `${home}/.local/share`}/dewar`,
    run: `${env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`}/dewar`,
  }
}

/** A sockaddr_un holds 108 bytes with the terminating zero, see unix(7). */
const MAX_SOCKET_PATH = 107

function addHost(host: string, draft: Draft): void {
  if (/^(tcp|https?):/i.test(host)) draft.tcp.push(parseTcp(host))
  else draft.sockets.push(parseSocket(host))
}

/** `tcp://HOST[:PORT]`; dockerd's port for TLS is 2376. */
function parseTcp(host: string): TcpAddress {
  const match = /^tcp:\/\/(\[[0-9a-f:]+\]|[^:/]*)(?::([0-9]{1,5}))?\/?$/i.exec(host)
  const port = Number(match?.[2] ?? 2376)
  if (match === null || port > 65535)
    throw bad(`cannot listen on ${JSON.stringify(host)}`, 'use tcp://ADDRESS:PORT')
  return { host: (match[1] || '127.0.0.1').replace(/^\[|\]$/g, ''), port }
}

function parseFlag(flag: string, value: string): boolean {
  if (['true', '1'].includes(value)) return true
  if (['false', '0'].includes(value)) return false
  throw bad(`option ${flag} is true or false, not ${JSON.stringify(value)}`, `write ${flag}`)
}

function parseSocket(host: string): string {
  const path = host.startsWith('unix://') ? host.slice('unix://'.length) : host
  if (!isAbsolute(path)) throw bad(`cannot listen on ${JSON.stringify(host)}`, 'use unix:///absolute/path')
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw bad(`socket path ${path} is longer than ${MAX_SOCKET_PATH} bytes`, 'use a shorter one')
  return resolve(path)
}

function parseMirror(value: string): string {
  if (!/^https?:\/\//.test(value) || !URL.canParse(value))
    throw bad(`registry mirror ${JSON.stringify(value)} is no URL`, 'use http://host:port')
  return value
}

function parseLevel(value: string): NonNullable<EngineOptions['defaultLevel']> {
  if (isLevelName(value)) return value
  throw bad(`unknown isolation level ${JSON.stringify(value)}`, 'use namespaces, sealed, gvisor or microvm')
}

function parseLogLevel(value: string): void {
  if (['debug', 'info', 'warn', 'error', 'fatal'].includes(value)) return
  throw bad(`unknown log level ${JSON.stringify(value)}`, 'use debug, info, warn, error or fatal')
}

function bad(what: string, remedy: string): DewarError {
  return new DewarError('invalid-argument', `Starting the engine failed: ${what}`, { remedy })
}
