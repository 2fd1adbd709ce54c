/** What a shell must know of one command. */
export interface Described {
  /** "run", "container ls" */
  readonly path: string
  readonly summary: string
  readonly takes: 'containers' | 'images' | 'networks' | 'volumes' | 'nothing'
  readonly flags: readonly {
    readonly name: string
    readonly short: string | undefined
    readonly summary: string
    readonly hasValue: boolean
  }[]
}

/** The words are asked of the engine when the key is pressed; without an engine there are none. */
const ASK: Readonly<Record<Described['takes'], string>> = {
  containers: "dewar ps -a --format '{{.Names}}' 2>/dev/null",
  images: "dewar images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null",
  networks: "dewar network ls --format '{{.Name}}' 2>/dev/null",
  volumes: 'dewar volume ls -q 2>/dev/null',
  nothing: ':',
}

export function completionScript(shell: 'bash' | 'zsh' | 'fish', commands: readonly Described[]): string {
  if (shell === 'fish') return fish(commands)
  return shell === 'bash'
    ? bash(commands)
    : `#compdef dewar\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`
}

function bash(commands: readonly Described[]): string {
  const groups = groupsOf(commands)
  const top = [...new Set(commands.map(({ path }) => path.split(' ')[0] ?? ''))].sort()
  const cases = commands.map(({ path, flags, takes }) => {
    const words = flags.flatMap(({ name, short }) =>
      short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`],
    )
    return `    ${quote(path)}) flags=${quote([...words, '--help'].join(' '))}; ask=${quote(ASK[takes])} ;;`
  })
  const inner = [...groups].map(([group, names]) => `    ${group}) words=${quote(names.join(' '))} ;;`)
  return `# bash completion of dewar
_dewar() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' word words='' flags='' ask=':' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in -*) continue ;; esac
    if [ -z "$path" ]; then path=$word
    else case $path in ${[...groups.keys()].join('|')}) path="$path $word" ;; esac; break
    fi
  done
  case $path in
    '') words=${quote(top.join(' '))} ;;
${inner.join('\n')}
${cases.join('\n')}
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    *) [ -n "$words" ] || words=$(eval "$ask"); COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
  esac
  [ \${#COMPREPLY[@]} -gt 0 ] || compopt -o default 2>/dev/null
}
complete -F _dewar dewar
`
}

function fish(commands: readonly Described[]): string {
  const lines = ['# fish completion of dewar', 'complete -c dewar -f']
  for (const { path, summary, takes, flags } of commands) {
    const [first = '', second] = path.split(' ')
    const seen =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`
    const offer =
      second === undefined
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${first}; and test (count (commandline -opc)) -eq 2`
    lines.push(`complete -c dewar -n ${quote(offer)} -a ${second ?? first} -d ${quote(summary)}`)
    if (takes !== 'nothing') lines.push(`complete -c dewar -n ${quote(seen)} -a ${quote(`(${ASK[takes]})`)}`)
    for (const { name, short, summary: about, hasValue } of flags) {
      lines.push(
        `complete -c dewar -n ${quote(seen)} -l ${name}${short === undefined ? '' : ` -s ${short}`}${hasValue ? ' -r' : ''} -d ${quote(about)}`,
      )
    }
  }
  for (const group of groupsOf(commands).keys())
    lines.push(`complete -c dewar -n __fish_use_subcommand -a ${group}`)
  return `${lines.join('\n')}\n`
}

function groupsOf(commands: readonly Described[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const { path } of commands) {
    const [group = '', name] = path.split(' ')
    if (name !== undefined) groups.set(group, [...(groups.get(group) ?? []), name])
  }
  return groups
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
