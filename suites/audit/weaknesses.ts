/** What is taken away from a target, and what the audit must say then. */
export type Side = 'dewar' | 'dockerd'

export interface Weakness {
  /** As after `run`; SOCKET is the engine's own. */
  readonly words: string
  /** Probes that say LEAK now and did not before. */
  readonly caught: readonly string[]
  /** Probes beside them that do not change: the weakness is told exactly. */
  readonly contained: readonly string[]
  /** Probes that cannot work any more (the guest refuses to run in the host's PID namespace): not CONTAINED at least. */
  readonly never: readonly string[]
}

type Row = readonly [words: string, caught: string, contained: string, never?: string]

const DEWAR: readonly Row[] = [
  ['--userns=host', 'I21 I22', 'I19 I27 I32 I33'],
  ['--pid=host', '', '', 'I32'],
  ['--ipc=host', 'A31', 'I32 I21'],
  ['--uts=host', '', '', 'I57'],
  ['--net=host', 'I57', 'I32 I27'],
  ['--cgroupns=host', 'I18', 'I27 I32'],
  ['--security-opt seccomp=unconfined', 'I27 I28 I29', 'I19 I21 I20 I32'],
  ['--cap-add=SYS_ADMIN', 'I27 I29', 'I19 I21 I20'],
  ['--cap-add=ALL', 'I27 I29', 'I19 I21 I20'],
  ['--device=/dev/loop0', 'I20', 'I19 I21'],
  // A range of ids is no wall against this.
  ['-v SOCKET:/run/docker.sock', 'I34', 'I21 I32'],
  ['--userns=host -v SOCKET:/run/docker.sock', 'I34 I22', 'I32 I27'],
  ['--userns=host --ipc=host', 'A31 I22', 'I32 I27'],
  ['--userns=host --net=host', 'I57 I22', 'I32 I27'],
  ['--userns=host --cgroupns=host', 'I18 I22', 'I32 I27'],
  ['--userns=host --security-opt seccomp=unconfined', 'I22 I27 I28', 'I32 I19'],
  ['--userns=host --cap-add=SYS_ADMIN', 'I22 I27', 'I32 I19'],
  ['--userns=host --device=/dev/loop0', 'I20 I22', 'I32 I19'],
  ['--privileged', 'I21 I22 I19 I20 I27 I28 I29 I13 I14 I30 I03 I16 I18 I15', 'I32 I33'],
]

/** dockerd gives root inside as root, so I21 and I22 say LEAK of it as it comes. */
const DOCKER: readonly Row[] = [
  ['--pid=host', '', '', 'I32'],
  ['--ipc=host', 'A31', 'I32 I27'],
  ['--uts=host', '', '', 'I57'],
  ['--net=host', 'I57', 'I32 I27'],
  ['--security-opt seccomp=unconfined', 'I27 I29 I14', 'I19 I20 I32'],
  ['--cap-add=SYS_ADMIN', 'I27 I29', 'I19 I20'],
  ['--device=/dev/loop0', 'I20', 'I19 I32'],
  ['-v SOCKET:/run/docker.sock', 'I34', 'I32 I27'],
  ['-v SOCKET:/elsewhere/hidden.sock', 'I34', 'I32 I27'],
  ['--ipc=host --net=host', 'A31 I57', 'I32 I27'],
  ['--ipc=host --security-opt seccomp=unconfined', 'A31 I27 I14', 'I32 I19'],
  ['--net=host --device=/dev/loop0', 'I57 I20', 'I32 I27'],
]

export function weaknessesOf(side: Side): readonly Weakness[] {
  return (side === 'dewar' ? DEWAR : DOCKER).map(([words, caught, contained, never = '']) => ({
    words,
    caught: idsIn(caught),
    contained: idsIn(contained),
    never: idsIn(never),
  }))
}

function idsIn(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}
