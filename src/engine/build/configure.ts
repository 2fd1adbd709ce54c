/** Instructions that change an image's configuration and nothing else. Pure; the comment is what the history says. */
import { DewarError } from '../../base/errors.ts'
import { parseSignal } from '../../kernel/signals.ts'
import type { ImageConfig } from '../types.ts'
import { exposedPorts } from './exposed-ports.ts'
import { goDurationText } from './go-duration.ts'
import type { CommandLine, Instruction } from './instruction.ts'

export interface Configured {
  readonly config: ImageConfig
  readonly comment: string
  /** CMD was given in this stage: ENTRYPOINT leaves it alone. */
  readonly cmdSet: boolean
  readonly author: string
  readonly note?: string
}

export interface Before {
  readonly config: ImageConfig
  readonly cmdSet: boolean
  readonly author: string
}

/** What is left to others: files and processes. */
export type FileInstruction = Extract<Instruction, { readonly kind: 'run' | 'copy' | 'add' | 'workdir' }>
export type ConfigInstruction = Exclude<Instruction, FileInstruction>

/** Variables are replaced already. Throws invalid-argument in dockerd's words. */
export function configure(instruction: ConfigInstruction, before: Before): Configured {
  const { config } = before
  switch (instruction.kind) {
    case 'env': {
      const added = instruction.pairs.map(({ key, value }) => `${key}=${value}`)
      return {
        ...before,
        config: { ...config, env: added.reduce(withEnv, config.env) },
        comment: words('ENV', added),
      }
    }
    case 'label': {
      const { pairs } = instruction
      const labels = { ...config.labels, ...Object.fromEntries(pairs.map(({ key, value }) => [key, value])) }
      const comment = words(
        'LABEL',
        pairs.map(({ key, value }) => `${key}=${value}`),
      )
      return { ...before, config: { ...config, labels }, comment }
    }
    case 'arg': {
      const args = instruction.args.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`))
      return { ...before, comment: words('ARG', args) }
    }
    case 'maintainer':
      return { ...before, author: instruction.value, comment: `MAINTAINER ${instruction.value}` }
    case 'cmd': {
      const cmd = commandWords(instruction.command, config)
      return { ...before, config: { ...config, cmd }, cmdSet: true, comment: `CMD ${quotedList(cmd)}` }
    }
    case 'entrypoint': {
      const entrypoint = commandWords(instruction.command, config)
      const cmd = before.cmdSet ? config.cmd : null
      return {
        ...before,
        config: { ...config, entrypoint, cmd },
        comment: `ENTRYPOINT ${quotedList(entrypoint)}`,
      }
    }
    case 'user':
      return {
        ...before,
        config: { ...config, user: instruction.value },
        comment: `USER ${instruction.value}`,
      }
    case 'stopsignal':
      checkSignal(instruction.value)
      return {
        ...before,
        config: { ...config, stopSignal: instruction.value },
        comment: `STOPSIGNAL ${instruction.value}`,
      }
    case 'expose': {
      const ports = { ...config.exposedPorts, ...exposedPorts(instruction.values) }
      return {
        ...before,
        config: { ...config, exposedPorts: ports },
        comment: words('EXPOSE', instruction.values),
      }
    }
    case 'volume': {
      const added = Object.fromEntries(instruction.values.map((path) => [path, {}]))
      const comment = `VOLUME [${instruction.values.join(' ')}]`
      return { ...before, config: { ...config, volumes: { ...config.volumes, ...added } }, comment }
    }
    case 'shell':
      return {
        ...before,
        config: { ...config, shell: instruction.values },
        comment: `SHELL [${instruction.values.join(' ')}]`,
      }
    case 'onbuild':
      return {
        ...before,
        config: { ...config, onBuild: [...(config.onBuild ?? []), instruction.value] },
        comment: `ONBUILD ${instruction.value}`,
      }
    case 'healthcheck':
      return healthcheck(instruction.check, before)
  }
}

function words(name: string, list: readonly string[]): string {
  return [name, ...list].join(' ')
}

/** Go's %q of a list. */
function quotedList(list: readonly string[]): string {
  return `[${list.map((word) => JSON.stringify(word)).join(' ')}]`
}

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c']

export function shellOf(config: ImageConfig): readonly string[] {
  return config.shell?.length ? config.shell : DEFAULT_SHELL
}

export function commandWords(command: CommandLine, config: ImageConfig): readonly string[] {
  return command.shell ? [...shellOf(config), ...command.words] : command.words
}

function withEnv(env: readonly string[], entry: string): readonly string[] {
  const name = entry.slice(0, entry.indexOf('=') + 1)
  const at = env.findIndex((other) => other.startsWith(name))
  return at < 0 ? [...env, entry] : env.with(at, entry)
}

function checkSignal(signal: string): void {
  try {
    parseSignal(signal)
  } catch (cause) {
    throw new DewarError('invalid-argument', `Invalid signal: ${signal}`, { cause })
  }
}

function healthcheck(check: NonNullable<ImageConfig['healthcheck']>, before: Before): Configured {
  const { config } = before
  const old = config.healthcheck?.test
  const spans = [
    check.interval,
    check.timeout,
    check.startPeriod,
    ...(check.startInterval ? [check.startInterval] : []),
  ]
  const durations = spans.map((span) => `"${goDurationText(span ?? 0)}"`).join(' ')
  // Go prints the number of retries as a character.
  const retries = `'\\x${(check.retries ?? 0).toString(16).padStart(2, '0')}'`
  const comment = `HEALTHCHECK &{${quotedList(check.test ?? [])} ${durations} ${retries}}`
  const overrides = old !== undefined && old.length > 0 && old[0] !== 'NONE'
  return {
    ...before,
    config: { ...config, healthcheck: filled(check) },
    comment,
    ...(overrides ? { note: `Note: overriding previous HEALTHCHECK: [${old.join(' ')}]\n` } : {}),
  }
}

function filled(check: NonNullable<ImageConfig['healthcheck']>): NonNullable<ImageConfig['healthcheck']> {
  return Object.fromEntries(Object.entries(check).filter(([, value]) => value !== 0))
}
