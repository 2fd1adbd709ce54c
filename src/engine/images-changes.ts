/** `--change` of import and commit: Dockerfile instructions that change an image's configuration. */
import { DewarError } from '../base/errors.ts'
import type { ImageConfig } from './types.ts'

export const EMPTY_CONFIG: ImageConfig = {
  user: '',
  exposedPorts: {},
  env: [],
  entrypoint: null,
  cmd: null,
  volumes: {},
  workingDir: '',
  labels: {},
  onBuild: null,
}

type Change = (config: ImageConfig, rest: string) => ImageConfig

const INSTRUCTIONS: Readonly<Record<string, Change>> = {
  CMD: (config, rest) => ({ ...config, cmd: commandOf(rest, config) }),
  ENTRYPOINT: (config, rest) => ({ ...config, entrypoint: commandOf(rest, config) }),
  ENV: (config, rest) => ({ ...config, env: pairsOf('ENV', rest).reduce(withEnv, config.env) }),
  EXPOSE: (config, rest) => ({ ...config, exposedPorts: { ...config.exposedPorts, ...portsOf(rest) } }),
  LABEL: (config, rest) => ({
    ...config,
    labels: { ...config.labels, ...Object.fromEntries(pairsOf('LABEL', rest)) },
  }),
  ONBUILD: (config, rest) => ({ ...config, onBuild: [...(config.onBuild ?? []), rest] }),
  STOPSIGNAL: (config, rest) => ({ ...config, stopSignal: rest }),
  USER: (config, rest) => ({ ...config, user: rest }),
  VOLUME: (config, rest) => {
    const added = (jsonList(rest) ?? words(rest)).map((path): [string, object] => [path, {}])
    return { ...config, volumes: { ...config.volumes, ...Object.fromEntries(added) } }
  },
  WORKDIR: (config, rest) => ({ ...config, workingDir: workdir(config.workingDir, rest) }),
  HEALTHCHECK: (config, rest) => {
    if (rest.toUpperCase() === 'NONE') return { ...config, healthcheck: { test: ['NONE'] } }
    const command = /^CMD\s+(.+)$/is.exec(rest)?.[1]
    if (command === undefined) throw bad('HEALTHCHECK', 'only NONE and CMD are supported here')
    const list = jsonList(command)
    return {
      ...config,
      healthcheck: { test: list === undefined ? ['CMD-SHELL', command] : ['CMD', ...list] },
    }
  },
}

/** Throws `invalid-argument` for an instruction that changes no configuration, such as RUN. */
export function applyChanges(config: ImageConfig, changes: readonly string[]): ImageConfig {
  return changes
    .flatMap((change) => change.split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .reduce((before, line) => {
      const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? []
      const change = INSTRUCTIONS[name.toUpperCase()]
      if (change === undefined) {
        throw new DewarError('invalid-argument', `${name.toLowerCase()} is not a valid change command`)
      }
      if (rest === '') throw bad(name.toUpperCase(), 'requires at least one argument')
      return change(before, rest)
    }, config)
}

function bad(name: string, why: string): DewarError {
  return new DewarError('invalid-argument', `${name} ${why}`)
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined
  } catch {
    return undefined
  }
}

function commandOf(text: string, config: ImageConfig): string[] {
  return jsonList(text) ?? [...(config.shell ?? ['/bin/sh', '-c']), text]
}

/** Words with quotes and backslashes, as in a Dockerfile. */
function words(text: string): string[] {
  const found = text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs)
  return [...found].map(([word]) =>
    word.replaceAll(
      /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
      (_all, double?: string, single?: string, escaped?: string) =>
        double === undefined ? (single ?? escaped ?? '') : double.replaceAll(/\\(["\\$])/g, '$1'),
    ),
  )
}

/** "a=1 b=2", or the old "a 1 2". */
function pairsOf(name: string, text: string): [string, string][] {
  const found = words(text)
  if (found[0]?.includes('=') !== true) {
    const [, key, value] = /^(\S+)\s+(.*)$/s.exec(text) ?? []
    if (key === undefined || value === undefined) throw bad(name, 'must have two arguments')
    return [[key, value]]
  }
  return found.map((word) => {
    const equals = word.indexOf('=')
    if (equals <= 0) throw bad(name, `names can not be blank or without a value: ${JSON.stringify(word)}`)
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
}

function withEnv(env: readonly string[], [key, value]: readonly [string, string]): readonly string[] {
  const at = env.findIndex((entry) => entry.startsWith(`${key}=`))
  return at < 0 ? [...env, `${key}=${value}`] : env.with(at, `${key}=${value}`)
}

function portsOf(text: string): Record<string, object> {
  const ports: Record<string, object> = {}
  for (const word of words(text)) {
    const [, from = '', to = from, protocol = 'tcp'] =
      /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word) ?? []
    const first = Number(from)
    const last = Number(to)
    if (from === '' || first < 1 || last > 65_535 || last < first) {
      throw bad('EXPOSE', `invalid containerPort: ${word}`)
    }
    for (let port = first; port <= last; port += 1) ports[`${port}/${protocol.toLowerCase()}`] = {}
  }
  return ports
}

function workdir(before: string, path: string): string {
  if (path.startsWith('/')) return path
  return `${before === '' ? '' : before.replace(/\/$/, '')}/${path}`
}
