/** `--platform` of the image commands: os[(version)][/arch[/variant]] as containerd's clients read it. Pure. */
import { Failure } from './failure.ts'

/** As OCI writes it; what is empty is left out. */
interface Platform {
  readonly architecture: string
  readonly os: string
  readonly 'os.version'?: string
  readonly variant?: string
}

const SYSTEMS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
)
const MACHINES = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ' +
    'ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
)
const SYSTEM = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$/
const COMPONENT = /^[A-Za-z0-9_.-]+$/

/** The JSON that the API takes; undefined for ''. Throws in docker's words. */
export function platformQuery(text: string): string | undefined {
  return text === '' ? undefined : JSON.stringify(parsePlatform(text))
}

function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  if (parts.length > 3) throw bad(`${JSON.stringify(text)}: cannot parse platform specifier`)
  const [first = '', second, third] = parts
  const system = SYSTEM.exec(first)
  if (system === null)
    throw bad(
      `${JSON.stringify(first)} is an invalid OS component of ${JSON.stringify(text)}: ` +
        `OSAndVersion specifier component must match ${JSON.stringify(SYSTEM.source)}`,
    )
  for (const part of parts.slice(1))
    if (!COMPONENT.test(part))
      throw bad(
        `${JSON.stringify(part)} is an invalid component of ${JSON.stringify(text)}: ` +
          `platform specifier component must match ${JSON.stringify(COMPONENT.source)}`,
      )
  const os = systemName(system[1] ?? '')
  const version = system[2] ?? ''
  if (second !== undefined) return platform(os, version, machine(second, third))
  if (SYSTEMS.has(os)) return platform(os, version, { architecture: hostMachine(), variant: '' })
  const alone = machine(first, undefined)
  if (!MACHINES.has(alone.architecture))
    throw bad(`${JSON.stringify(text)}: unknown operating system or architecture`)
  return platform('linux', '', alone)
}

/** With its fields in the order of docker's client, which sends the JSON in the address. */
function platform(os: string, version: string, { architecture, variant }: Machine): Platform {
  return {
    architecture,
    os,
    ...(version === '' ? {} : { 'os.version': version }),
    ...(variant === '' ? {} : { variant }),
  }
}

const bad = (why: string): Failure => new Failure(`${why}: invalid argument`)

function systemName(text: string): string {
  const name = text.toLowerCase()
  return name === 'macos' ? 'darwin' : name
}

interface Machine {
  readonly architecture: string
  /** '' for the plain one. */
  readonly variant: string
}

/** Aliases, and variants that are what is meant without one. */
function machine(nameText: string, variantText: string | undefined): Machine {
  const [name, variant] = [nameText.toLowerCase(), variantText?.toLowerCase() ?? '']
  switch (name) {
    case 'i386':
      return { architecture: '386', variant: '' }
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return { architecture: 'amd64', variant: variant === 'v1' ? '' : variant }
    case 'aarch64':
    case 'arm64':
      return { architecture: 'arm64', variant: variant === '8' ? 'v8' : variant }
    case 'armhf':
      return { architecture: 'arm', variant: variantText === undefined ? '' : 'v7' }
    case 'armel':
      return { architecture: 'arm', variant: 'v6' }
    case 'arm':
      return { architecture: 'arm', variant: /^[5-8]$/.test(variant) ? `v${variant}` : variant }
    default:
      return { architecture: name, variant }
  }
}

function hostMachine(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }
  return names[process.arch] ?? process.arch
}
