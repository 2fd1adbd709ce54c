/** The engine process's own command line. `dewar engine` passes its arguments through. */
import { isAbsolute, resolve } from 'node:path'
import { DewarError } from '../base/errors.ts'
import { isLevelName } from '../engine/options.ts'
import type { EngineOptions } from '../engine/options.ts'

export interface DaemonOptions {
  readonly engine: EngineOptions
  /** Absolute paths of the sockets to serve; at least one. */
  readonly sockets: readonly string[]
}

type Sink = (value: string, draft: Draft) => void

interface Draft {
  root: string
  run: string
  sockets: string[]
  mirrors: string[]
  insecure: string[]
  bridge?: string
  subnet?: string
  defaultLevel?: NonNullable<EngineOptions['defaultLevel']>
}

const FLAGS: Readonly<Record<string, Sink>> = {
  '--root': (value, draft) => void (draft.root = resolve(value)),
  '--run': (value, draft) => void (draft.run = resolve(value)),
  '--host': (value, draft) => void draft.sockets.push(parseHost(value)),
  '--bridge': (value, draft) => void (draft.bridge = value),
  '--subnet': (value, draft) => void (draft.subnet = value),
  '--registry-mirror': (value, draft) => void draft.mirrors.push(parseMirror(value)),
  '--insecure-registry': (value, draft) => void draft.insecure.push(value),
  '--isolation': (value, draft) => void (draft.defaultLevel = parseLevel(value)),
  // Errors and warnings are few and always said; the flag is taken so that dockerd's command lines work.
  '--log-level': parseLogLevel,
}
const SHORT: Readonly<Record<string, string>> = { '-H': '--host', '-l': '--log-level' }

/** Takes `--flag value` and `--flag=value`. Throws invalid-argument for what it does not know. */
export function parseDaemonOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DaemonOptions {
  const draft: Draft = { ...defaultFolders(env), sockets: [], mirrors: [], insecure: [] }
  const rest = [...argv]
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const { flag, inline } = splitFlag(arg)
    const sink = FLAGS[flag]
    if (sink === undefined)
      throw bad(`unknown option ${JSON.stringify(arg)}`, `known are ${Object.keys(FLAGS).join(', ')}, -H`)
    const value = inline ?? rest.shift()
    if (value === undefined || value === '') throw bad(`option ${flag} has no value`, `write ${flag} VALUE`)
    sink(value, draft)
  }
  return finish(draft)
}

function finish({ root, run, sockets, mirrors, insecure, ...named }: Draft): DaemonOptions {
  return {
    engine: { root, run, registryMirrors: mirrors, insecureRegistries: insecure, ...named },
    sockets: sockets.length === 0 ? [`${run}/dewar.sock`] : sockets,
  }
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

function parseHost(host: string): string {
  if (/^tcp:|^https?:/i.test(host)) {
    throw bad(
      `cannot listen on ${host}: whoever reaches the API is root on this machine, and TLS with client certificates is not there yet`,
      'use unix:///path, and ssh to reach it from elsewhere',
    )
  }
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
