/** `--security-opt`, parsed. Pure; Docker's words. */
import { DewarError } from '../base/errors.ts'

export interface SecurityOptions {
  readonly noNewPrivileges: boolean
  /** Docker's profile JSON as the client sent it. */
  readonly seccomp: 'default' | 'unconfined' | { readonly profile: string }
  /** `systempaths=unconfined`: nothing is masked or read-only. */
  readonly systemPathsOpen: boolean
  readonly warnings: readonly string[]
}

export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  let result: SecurityOptions = {
    noNewPrivileges: false,
    seccomp: 'default',
    systemPathsOpen: false,
    warnings: [],
  }
  for (const option of options) result = { ...result, ...parseOne(option, result) }
  return result
}

function parseOne(option: string, before: SecurityOptions): Partial<SecurityOptions> {
  const match = /^([a-z-]+)(?:[=:]([\s\S]*))?$/.exec(option)
  const [, key, value] = match ?? []
  switch (key) {
    case 'no-new-privileges':
      return { noNewPrivileges: parseBool(value, option) }
    case 'seccomp':
      if (value === undefined || value === '') break
      if (value === 'unconfined') return { seccomp: 'unconfined' }
      return { seccomp: value === 'builtin' ? 'default' : { profile: value } }
    case 'systempaths':
      if (value !== 'unconfined') break
      return { systemPathsOpen: true }
    case 'apparmor':
      if (value === 'unconfined') return {}
      throw new DewarError(
        'invalid-argument',
        `AppArmor profile ${JSON.stringify(value ?? '')} cannot be applied`,
        {
          remedy: 'this engine loads no AppArmor profiles; use apparmor=unconfined or leave the option out',
        },
      )
    case 'label':
      if (value === undefined) break
      return {
        warnings: [
          ...before.warnings,
          `SELinux labels are not applied by this engine: --security-opt ${option} has no effect`,
        ],
      }
    default:
  }
  throw new DewarError('invalid-argument', `invalid --security-opt 2: ${JSON.stringify(option)}`)
}

function parseBool(value: string | undefined, option: string): boolean {
  if (value === undefined || ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false
  throw new DewarError('invalid-argument', `invalid --security-opt 2: ${JSON.stringify(option)}`)
}
