/** What is taken away from a target, and what the audit must say then. */
export type Side = 'dewar' | 'dockerd'

export interface Weakness {
  /** As after `run`: what the target is hardened with, and what it has instead when it is weak. Mostly nothing. */
  readonly base: string
  /** As after `run`; SOCKET is the engine's own, ROOT its folder, STORAGE where it keeps things, NO_SYNC, NO_ADMIN and ONLY_KEYCTL filters. */
  readonly words: string
  /** Probes that say LEAK now and did not before. */
  readonly caught: readonly string[]
  /** Probes beside them that do not change: the weakness is told exactly. */
  readonly contained: readonly string[]
}

type Row = readonly [words: string, caught: string, contained: string, base?: string]

/** Of processor time and memory. */
const LIMITS = '--cpus 0.1 -m 200m'
const NO_SYNC = '--security-opt seccomp=NO_SYNC'
const NO_CAPABILITIES = '--cap-drop=ALL'
/** Probes of other protections, that are the same with and without most weaknesses. */
const OTHERS = 'I19 I20 I27 I32'

const DEWAR: readonly Row[] = [
  ['--userns=host', 'I21 I22', 'I19 I27 I32 I33'],
  ['--pid=host', 'I31 I32', 'I33 I57'],
  ['--pid=host --cap-add=SYS_PTRACE', 'I31 I32', 'I33 I57'],
  ['--ipc=host', 'A31', 'I32 I21'],
  ['--uts=host', 'I57', 'I32 I33'],
  ['--net=host', 'I57 I33', 'I32 I27'],
  ['--cgroupns=host', 'I18', 'I27 I32'],
  ['--security-opt seccomp=unconfined', 'I27 I28 I29', 'I19 I21 I20 I32'],
  ['--cap-add=SYS_ADMIN', 'I27 I29', 'I19 I21 I20'],
  ['--cap-add=ALL', 'I27 I29', 'I19 I21 I20'],
  ['--device=/dev/loop0', 'I20', 'I19 I21'],
  // A range of ids is no wall against these.
  ['-v SOCKET:/run/docker.sock', 'I34', 'I21 I32'],
  ['-v /:/host', 'I61', 'I21 I32'],
  ['-v /etc:/x:ro', 'I61', 'I34 I19'],
  ['-v /var/tmp:/deep/down', 'I61', 'I34 I19'],
  ['-v ROOT:/engine', 'I61', 'I32 I19'],
  ['-v STORAGE/containers:/others:ro', 'I61', 'I32 I19'],
  ['-v /proc:/host/proc:ro', 'I61', 'I19 I20'],
  ['-v /sys:/host/sys:ro', 'I61', 'I19 I20'],
  ['--userns=host -v SOCKET:/run/docker.sock', 'I34 I22', 'I32 I27'],
  ['--userns=host --ipc=host', 'A31 I22', 'I32 I27'],
  ['--userns=host --net=host', 'I57 I22 I33', 'I32 I27'],
  ['--userns=host --cgroupns=host', 'I18 I22', 'I32 I27'],
  ['--userns=host --security-opt seccomp=unconfined', 'I22 I27 I28', 'I32 I19'],
  ['--userns=host --cap-add=SYS_ADMIN', 'I22 I27', 'I32 I19'],
  ['--userns=host --device=/dev/loop0', 'I20 I22', 'I32 I19'],
  ['--privileged', 'I21 I22 I19 I20 I27 I28 I29 I13 I14 I30 I03 I16 I18 I15', 'I32 I33'],
  ['--network name=bridge,driver-opt=dewar.source-guard=false', 'A28', 'A31 I32'],
  ['', 'I23', 'I21', '--security-opt no-new-privileges'],
  ['', 'A14', 'A31', '--ulimit nofile=1024:1024 --pids-limit=100'],
  ['--userns=host', 'A15', 'I32'],
  ['', 'A01 A06 A10 A11', 'A31', LIMITS],
  ['', 'A17', 'A31', NO_SYNC],
]

/** Where root has not every capability itself, as on some virtual machines, runc refuses the word --privileged. */
const PRIVILEGED =
  '--security-opt seccomp=unconfined --security-opt systempaths=unconfined --cap-add=SYS_ADMIN --cap-add=SYSLOG ' +
  "--cap-add=DAC_READ_SEARCH --device-cgroup-rule='b *:* rwm'"

/** dockerd gives root inside as root, so I21 and I22 say LEAK of it as it comes. */
const DOCKER: readonly Row[] = [
  ['--pid=host', 'I31 I32', 'I33 I57'],
  ['--pid=host --cap-add=SYS_PTRACE', 'I31 I32', 'I33 I57'],
  ['--ipc=host', 'A31', 'I32 I27'],
  ['--uts=host', 'I57', 'I32 I33'],
  ['--net=host', 'I57 I33', 'I32 I27'],
  ['--security-opt seccomp=unconfined', 'I27 I29 I14', 'I19 I20 I32'],
  ['--security-opt systempaths=unconfined', 'I19 I14', 'I20 I27 I32'],
  [PRIVILEGED, 'I19 I20 I27 I29 I13 I14 I30', 'I32 I33'],
  ['--cap-add=SYS_ADMIN', 'I27 I29', 'I19 I20'],
  ['--security-opt seccomp=ONLY_KEYCTL', 'I29', 'I13 I20', '--security-opt seccomp=NO_ADMIN'],
  ['--cap-add=SYS_TIME', 'I29', OTHERS],
  ['--cap-add=SYSLOG', 'I13 I29', OTHERS],
  // shocker.c
  ['--cap-add=DAC_READ_SEARCH', 'I30', OTHERS],
  ['--cap-drop=ALL --cap-add=NET_ADMIN', 'I21', OTHERS, NO_CAPABILITIES],
  ['--cap-drop=ALL --cap-add=SYS_MODULE', 'I21', OTHERS, NO_CAPABILITIES],
  ['--cap-drop=ALL --cap-add=SYS_PTRACE', 'I21', OTHERS, NO_CAPABILITIES],
  ['--cap-drop=ALL --cap-add=NET_RAW', 'I21 A28', OTHERS, NO_CAPABILITIES],
  ['--cap-drop=ALL --cap-add=AUDIT_WRITE', 'I21 A20', OTHERS, NO_CAPABILITIES],
  ['--device=/dev/loop0', 'I20', 'I19 I32'],
  ["--device-cgroup-rule='b *:* rwm'", 'I20', 'I19 I27 I32'],
  ['-v SOCKET:/run/docker.sock', 'I34', 'I32 I27'],
  ['-v SOCKET:/elsewhere/hidden.sock', 'I34', 'I32 I27'],
  ['-v /:/host', 'I61', OTHERS],
  ['-v /:/host:ro', 'I61', OTHERS],
  ['-v /etc:/x:ro', 'I61', OTHERS],
  ['-v ROOT:/engine', 'I61', OTHERS],
  // What node_exporter, cAdvisor and their like are given.
  ['-v STORAGE/containers:/others:ro', 'I61', OTHERS],
  ['-v /proc:/host/proc:ro', 'I61', OTHERS],
  ['-v /sys:/host/sys:ro', 'I61', OTHERS],
  ['-v /dev:/host/dev:ro', 'I61', OTHERS],
  ['--cgroupns=private -v /sys/fs/cgroup:/groups', 'I18 I61', OTHERS, '--cgroupns=private'],
  ['', 'I18', OTHERS, '--cgroupns=private'],
  ['', 'I23', OTHERS, '--security-opt no-new-privileges'],
  ['', 'A14', OTHERS, '--ulimit nofile=1024:1024 --pids-limit=100'],
  ['', 'A01 A06 A10 A11', OTHERS, LIMITS],
  ['', 'A17', 'I32', NO_SYNC],
  ['--ipc=host --net=host', 'A31 I57', 'I32 I27'],
  ['--ipc=host --security-opt seccomp=unconfined', 'A31 I27 I14', 'I32 I19'],
  ['--net=host --device=/dev/loop0', 'I57 I20', 'I32 I27'],
]

export function weaknessesOf(side: Side): readonly Weakness[] {
  return (side === 'dewar' ? DEWAR : DOCKER).map(([words, caught, contained, base = '']) => ({
    ...{ words, base },
    caught: idsIn(caught),
    contained: idsIn(contained),
  }))
}

function idsIn(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}
