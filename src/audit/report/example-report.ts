/**
 * A report made by hand, of the shape and size of a real one, for the tests of what shows reports. The verdicts are
 * plausible, not measured: docs/AUDIT.md has the measured ones.
 */
import {
  OBSERVERS,
  REPORT_SCHEMA,
  type Direction,
  type Evidence,
  type Observer,
  type ProbeDescription,
  type Report,
  type Result,
  type TargetReport,
  type Verdict,
} from '../types.ts'

/** id | slug | asset | observers | verdicts on dewar docker podman runsc | references | question | remedy */
const ROWS = `
O01 | out.file.name-find | file | host-root | LLLC | CWE-668 T1083 | Does the host find a file of the container by its name? | Keep the writable layer out of the host’s tree: a stronger level (sealed, microvm).
O05 | out.argv.cmdline | argv | host-root | LLLC | CWE-214 T1057 | Can the host read the command line of the container’s process? | Pass no secrets as arguments; use a file or a descriptor.
O06 | out.env.environ | env | host-root | LLLC | CWE-526 T1003.007 | Can the host read the environment of the container’s process? | Pass secrets as files on a tmpfs, not as environment.
O08 | out.meta.at-rest | metadata | host-root api-user | LLLL | CWE-312 | Does the engine keep environment and arguments readable on disk? | Do not pass secrets by --env; keep the state folder 0700.
O07 | out.mem.read | memory | determined-root | LLLL | CWE-316 T1003.007 kata#9569 | Can a determined root find a secret in the container’s memory? | Only confidential-computing hardware (SEV-SNP, TDX) hides memory from the host’s root.
O24 | out.disk.after-rm | deleted data | disk-thief determined-root | LLLC | CWE-226 T1006 | Is deleted data still on the disk after the container is removed? | Encrypt the storage with a key that is erased, or discard blocks.
O25 | out.disk.thief | all at rest | disk-thief | LLLL | CWE-312 CWE-311 | Does a thief of the powered-off disk read the container’s files? | Encrypt the disk that holds the engine’s storage.
O17 | out.unpriv.storage | file | unprivileged-user | CCCC | CVE-2021-41091 CVE-2021-41103 CVE-2024-25621 CWE-276 | Can an unprivileged user of the host read the engine’s storage? | chmod 0711 /var/lib/docker (CVE-2021-41091).
O19 | out.unpriv.ps-environ | argv, env | unprivileged-user | LLLC | CWE-214 | Can an unprivileged user read command lines of the container? | Mount the host’s /proc with hidepid=2.
O14 | out.log.at-rest | log | host-root | LLLL | CWE-532 | Is what the container prints readable at rest? | Choose a log driver that does not keep it, or encrypt the log.
O32 | out.afterexit.kernel | kernel objects | host-root | CC?C | CWE-404 | Do kernel objects stay behind after the container is removed? | Report it to the engine; remove them by hand.
O38 | out.net.dns | names asked | host-root | LLLL | CWE-319 | Does the host see which names the container asks for? | Use DNS over TLS inside.
I35 | in.fd.inherited | file | guest | CCCC | CVE-2024-21626 CVE-2016-9962 CWE-403 | Does the container inherit a descriptor of its engine? | Update runc to 1.1.12 or newer (CVE-2024-21626).
I34 | in.control.sockets | control plane | guest | CCCC | T1552.007 T1611 | Does a control socket of an engine answer inside? | Never mount the engine’s socket into a container.
I19 | in.kernel.control-write | kernel controls | guest | CCCA | CVE-2022-0492 T1611 | Can the container open the kernel’s controls for writing? | Do not run with --privileged; keep /proc/sys read-only.
I20 | in.device.nodes | device | guest | CCCC | T1006 CWE-1188 | Can the container open a device of the host? | Do not give --device or --privileged.
I25 | in.sys.af_alg | kernel surface | guest | CLLA | CVE-2026-31431 | Does the kernel give the container an AF_ALG socket? | Use a seccomp profile that closes AF_ALG.
I27 | in.sys.namespaces | kernel surface | guest | CCCC | CVE-2022-0185 CVE-2024-1086 T1611 | Can the container make namespaces of its own? | Keep the default seccomp profile.
I01 | in.proc.boot_id | host identity | guest | CLLA | ContainerLeaks CWE-497 | Does the container read the host’s boot_id? | Bind a private file over /proc/sys/kernel/random/boot_id.
I02 | in.proc.mountinfo | host paths | guest | LLLC | CWE-497 | Does mountinfo show paths of the host? | A level that mounts by descriptor or from a block device.
I07 | in.proc.load-uptime | host activity | guest | LLLC | ContainerLeaks lxcfs#13 | Do load and uptime inside move with the host’s? | Give the container its own view of /proc (lxcfs, or dewar’s slice view).
I08 | in.proc.stat-delta | host activity | guest | LLLC | ContainerLeaks CWE-203 | Do counters in /proc/stat move when the host forks? | Mask /proc/stat or use a level with its own kernel.
I10 | in.kernel.build | host identity | guest | LLLC | CWE-497 | Does the container see the host’s kernel version? | Only an own kernel (gvisor, microvm) hides it.
I16 | in.host.block | host disks | guest | CLLC | ContainerLeaks CWE-497 | Does the container see the names and sizes of host disks? | Mask /proc/partitions, /proc/diskstats and /sys/block.
I21 | in.caps.sets | privilege | guest | CLLC | CVE-2022-24769 CWE-250 | Does the container hold more capabilities than it was promised? | --cap-drop ALL and add back what is needed.
I22 | in.userns.map | identity | guest | CLLC | CWE-250 | Is root in the container root on the host? | Use a user namespace (userns-remap).
I23 | in.nnp.setuid | privilege | guest | CLLC | T1548.001 | Does a set-user-id program inside raise privileges? | --security-opt no-new-privileges.
I32 | in.proc.host-visible | processes | guest | CCCC | T1057 | Does the container see processes of the host? | Do not run with --pid=host.
I33 | in.unix.abstract | IPC | guest | CCCC | CVE-2020-15257 | Can the container connect to an abstract socket of the host? | Do not run with --net=host (CVE-2020-15257).
I41 | in.net.host-reach | host services | guest | CLLC | T1552.005 | Can the container reach services that listen on the host? | Block the bridge’s gateway address in the host’s firewall.
A23 | across.layer.shared-inode | page cache | neighbour | LLLL | CVE-2026-31431 CVE-2022-0847 CWE-653 | Do two containers share the page cache of their image? | An own block device per container.
A02 | across.res.memory-hog | resources | neighbour | CLLC | Matthews 2007 CWE-770 T1499.001 | Does a neighbour that eats memory harm the others? | Set --memory on every container.
A03 | across.res.fork-bomb | resources | neighbour | CLCC | Demons 2021 Matthews 2007 T1499.001 | Does a fork bomb next door stop others from forking? | Set --pids-limit on every container.
A01 | across.res.cpu-hog | resources | neighbour | CLLC | Matthews 2007 | Does a neighbour that burns CPU slow the others? | Set --cpus or --cpu-shares.
A21 | across.covert.timens-lock | covert channel | neighbour | CLLA |  | Can two neighbours signal through locks on a shared namespace file? | A private time namespace (docker 29.5, dewar).
A28 | across.net.arp-raw | traffic | neighbour | CLLC | CVE-2020-13401 T1557.002 | Does a neighbour redirect traffic by forged ARP? | --cap-drop NET_RAW.
A29 | across.net.discovery | names, ports | neighbour | CLLL | T1046 T1613 | Does a neighbour find and reach ports that were not published? | Use a network per application, or icc=false.
A08 | across.disk.fill | resources | neighbour | CLLC |  | Can a neighbour fill the disk that all share? | A storage quota (overlay2.size on xfs) or an own image.
`

const TARGETS: readonly TargetReport[] = [
  { name: 'dewar', kind: 'dewar', version: '0.1.0', level: 'namespaces', runArguments: [] },
  { name: 'docker', kind: 'docker', version: '20.10.24', level: 'runc', runArguments: [] },
  {
    name: 'podman',
    kind: 'podman',
    version: '4.3.1',
    level: 'crun',
    runArguments: ['--security-opt', 'label=disable'],
  },
  { name: 'runsc', kind: 'oci-runtime', version: '20221219.0', level: 'runsc', runArguments: [] },
  {
    name: 'kata',
    kind: 'oci-runtime',
    version: '',
    level: '',
    runArguments: [],
    missing: { reason: 'kata-runtime is not installed', remedy: 'install Kata Containers' },
  },
]

const VERDICT: Readonly<Record<string, Verdict>> = {
  L: 'LEAK',
  C: 'CONTAINED',
  A: 'ABSENT',
  '?': 'INCONCLUSIVE',
}

const REASON: Readonly<Record<Verdict, string>> = {
  LEAK: 'the canary planted inside was seen',
  CONTAINED: 'the canary was planted and not seen; the control canary was',
  ABSENT: 'there is no such thing on this target',
  INCONCLUSIVE: 'the observer did not see the control canary either',
}

/** A new copy each time: tests change theirs. */
export function exampleReport(): Report {
  return {
    schema: REPORT_SCHEMA,
    dewar: '0.1.0',
    startedAt: '2026-11-23T19:00:00.000Z',
    duration: 141_300,
    host: { kernel: '6.18.0', cpus: 2, memory: 8_327_462_912, cgroup: 'hybrid' },
    targets: TARGETS,
    probes: ROWS.trim().split('\n').map(probeOf),
    results: ROWS.trim().split('\n').flatMap(resultsOf),
    discoveries: [
      {
        target: 'docker',
        path: '/proc/sys/kernel/random/boot_id',
        kind: 'equal-value',
        sample: '0c7e2c6e-5f0a-4a53-9a58-1d9c0e3b7f11',
        known: ['I01'],
      },
      {
        target: 'docker',
        path: '/proc/pressure/io',
        kind: 'host-driven',
        sample: 'some avg10=3.11',
        known: [],
      },
    ],
    leftovers: [],
  }
}

function probeOf(row: string): ProbeDescription {
  const [id = '', slug = '', asset = '', observers = '', , references = '', question = '', remedy = ''] =
    row.split(' | ')
  const words = observers.split(' ')
  return {
    id,
    slug,
    direction: directionOf(slug),
    asset,
    observers: OBSERVERS.filter((observer: Observer) => words.includes(observer)),
    question,
    method: 'plants a random canary and lets the observer look for it',
    references: references.split(' ').filter((word) => word !== ''),
    remedy,
    interference: 'none',
    readOnly: false,
  }
}

function directionOf(slug: string): Direction {
  if (slug.startsWith('out.')) return 'out'
  return slug.startsWith('in.') ? 'in' : 'across'
}

function resultsOf(row: string): Result[] {
  const [id = '', slug = '', , , letters = ''] = row.split(' | ')
  return [...letters].map((letter, index) => {
    const verdict = VERDICT[letter] ?? 'INCONCLUSIVE'
    return {
      target: TARGETS[index]?.name ?? '',
      probe: id,
      verdict,
      reason: REASON[verdict],
      evidence: verdict === 'LEAK' ? [evidenceOf(slug)] : [],
      controls: [
        { what: 'the subject was alive', held: true },
        { what: 'the observer saw a control canary', held: verdict !== 'INCONCLUSIVE' },
      ],
      duration: 120,
    }
  })
}

function evidenceOf(slug: string): Evidence {
  if (slug.startsWith('out.'))
    return { kind: 'path', text: `/var/lib/engine/overlay2/3f9c/diff/canary-${slug}` }
  return { kind: 'value', text: `${slug} = 7f3a91c05d2e, equal to the host's` }
}
