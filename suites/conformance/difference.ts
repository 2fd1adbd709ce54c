import { BUILD_DIFFERENCES } from './difference-builds.ts'
import type { Answer } from './side.ts'

/**
 * A difference to dockerd 20.10 that is meant to be. An entry that no longer differs fails the suite, and so does one
 * whose `ours` no longer matches: it is no blank cheque.
 */
export interface Difference {
  /** The row's name, or all rows a pattern matches. */
  readonly row: string | RegExp
  readonly on?: 'engine' | 'cli'
  readonly part: keyof Answer
  /** What ours must answer instead. */
  readonly ours: RegExp
  readonly reason: string
}

const NEWER = 'dockerd 20.10 has other words; these are those of dockerd 28'
const STATUS = 'dockerd 20.10 answers 500 to bad requests; dockerd 28 and the API’s documentation say 400'
const REMEDY = 'the message ends with the remedy'

export const DIFFERENCES: readonly Difference[] = [
  ...BUILD_DIFFERENCES,
  // What a failed start says.
  ...[
    'run of a missing command gives 127',
    'run of a missing absolute path gives 127',
    'run of a file that is not executable gives 126',
    'run of a directory gives 126',
    'run of a failed command leaves it created',
  ].map((row): Difference => ({
    row,
    part: 'stderr',
    ours: /unable to start container process: error during container init: exec: "[^"]+": .*: unknown/,
    reason: NEWER,
  })),
  ...['a folder over /proc', 'a folder in /proc', 'a file over another of /proc'].map((row): Difference => ({
    row,
    part: 'stderr',
    ours: /error during container init: error mounting "[^"]*" to rootfs at "(\/proc[^"]*)": "\1" cannot be mounted because/,
    reason: `${NEWER}, but for the path of the root on the host; ${REMEDY}`,
  })),
  {
    row: 'ps --filter before nobody',
    part: 'stderr',
    ours: /No such container: nosuch/,
    reason: 'the words of all other commands',
  },
  {
    row: 'run of a script without interpreter line',
    part: 'code',
    ours: /^125$/,
    reason: 'execve is seen to fail before the container counts as started, so it is a failed start',
  },
  {
    row: 'run of a script without interpreter line',
    part: 'stderr',
    ours: /exec \/s: exec format error/,
    reason: 'execve is seen to fail before the container counts as started, so it is a failed start',
  },
  {
    row: 'exec of a missing command',
    part: 'code',
    ours: /^127$/,
    reason: 'dockerd 20.10 says 126, dockerd 28 says 127',
  },
  {
    row: 'exec -w in a missing folder',
    part: 'code',
    ours: /^127$/,
    reason: 'dockerd 20.10 says 126, dockerd 28 says 127',
  },
  {
    row: 'run --runtime with an unknown name',
    part: 'stderr',
    ours: /unknown or invalid runtime name: bogus/,
    reason: NEWER,
  },
  {
    row: 'run --restart with nonsense',
    part: 'stderr',
    ours: /invalid restart policy: unknown policy 'sometimes'/,
    reason: NEWER,
  },
  {
    row: 'run with an unknown log driver',
    part: 'stderr',
    ours: /no log driver named 'bogus' is registered/,
    reason: NEWER,
  },
  { row: 'import without a command cannot run', part: 'stderr', ours: /no command specified/, reason: NEWER },
  // Other words.
  {
    row: 'exec in a paused container',
    part: 'stderr',
    ours: /Container ID64 is paused, unpause the container before exec/,
    reason: NEWER,
  },
  { row: 'top of a stopped container', part: 'stderr', ours: /container ID64 is not running/, reason: NEWER },
  {
    row: 'exec in a stopped container',
    part: 'stderr',
    ours: /container ID64 is not running/,
    reason: NEWER,
  },
  { row: 'kill -s with nonsense', part: 'stderr', ours: /invalid signal: NOPE/, reason: NEWER },
  {
    row: 'kill of a stopped container',
    part: 'stderr',
    ours: /cannot kill container: cx: container ID64 is not running/,
    reason: NEWER,
  },
  { row: 'kill of an unknown container', part: 'stderr', ours: /No such container: nosuch/, reason: NEWER },
  {
    row: 'rm of a running container',
    part: 'stderr',
    ours: /cannot remove container "cx": container is running: stop the container before removing or force remove/,
    reason: NEWER,
  },
  {
    row: /^rename to .*name in use$/,
    part: 'stderr',
    ours: /Conflict. The container name "\/cy" is already in use/,
    reason: NEWER,
  },
  { row: 'rename to an invalid name', part: 'stderr', ours: /Invalid container name \(a b\)/, reason: NEWER },
  { row: /with an unknown filter$/, part: 'stderr', ours: /invalid filter 'nosuch'/, reason: NEWER },
  { row: / --filter label!=$/, part: 'stderr', ours: /invalid filter 'label!'/, reason: NEWER },
  {
    row: 'run --kernel-memory is taken and does nothing',
    part: 'stderr',
    ours: /^invalid argument "x" for "--kernel-memory"/,
    reason: 'dockerd 20.10 warns, dockerd 26 ignores it without a word',
  },
  ...(
    [
      ['create --expose of a protocol that is none', /invalid port specification: "80\/foo"/],
      ['create --stop-signal of a number that is none', /does not support signal 99/],
    ] as const
  ).flatMap(([row, ours]): Difference[] => [
    {
      row,
      part: 'stderr',
      ours,
      reason: 'dockerd takes it, and it fails when it is needed: at -P, at the stop',
    },
    {
      row,
      part: 'stdout',
      ours: /^0$/m,
      reason: 'refused: dockerd takes it, and it fails when it is needed',
    },
  ]),
  { row: 'pull by digest', part: 'stdout', ours: /^sha256:\w+: Pulling from busybox/m, reason: NEWER },
  { row: 'image inspect of nothing', part: 'stderr', ours: /No such image: nosuch:latest/, reason: NEWER },
  {
    row: 'run --ip on the default network is refused',
    part: 'stderr',
    ours: /invalid config for network bridge: invalid endpoint settings:/,
    reason: NEWER,
  },
  {
    row: 'network rm in use',
    part: 'stderr',
    ours: /network n3 has active endpoints \(name:"cx"/,
    reason: NEWER,
  },
  {
    row: 'network rm of the bridge',
    on: 'cli',
    part: 'stderr',
    ours: /pre-defined network and cannot be removed/,
    reason: 'docker adds a stray line "exit status 1" that says nothing; ours does not',
  },
  { row: 'run writes /etc/hosts', part: 'stdout', ours: /^fe00:: ip6-localnet$/m, reason: NEWER },
  {
    row: 'API: no content type',
    part: 'stdout',
    ours: /unsupported Content-Type header \(text\/plain\)[^]*400/,
    reason: NEWER,
  },
  {
    row: 'API: archive without a path',
    part: 'stdout',
    ours: /bad parameter: path cannot be empty[^]*400/,
    reason: NEWER,
  },
  {
    row: 'run --dns',
    part: 'stdout',
    ours: /^nameserver 9\.9\.9\.9\nsearch example\.org\noptions ndots:3$/m,
    reason: 'dockerd 28 writes the servers first',
  },
  {
    row: 'run -p that is in use by the host',
    part: 'stderr',
    ours: /cy \(ID64\): listen tcp4 0\.0\.0\.0:8095: bind: address already in use$/m,
    reason: 'there is no userland proxy that could not be started',
  },
  // Ends with the remedy.
  {
    row: 'pull from a registry that is not there',
    part: 'stderr',
    ours: /connection refused \(check that the registry 127.0.0.1:9 runs/,
    reason: REMEDY,
  },
  {
    row: 'run -v with nonsense',
    on: 'cli',
    part: 'stderr',
    ours: /invalid spec: a:b:c:d: too many colons/,
    reason: 'our client checks it already',
  },
  {
    row: 'run -v with nonsense',
    on: 'engine',
    part: 'stderr',
    ours: /invalid volume specification: 'a:b:c:d' \(write /,
    reason: REMEDY,
  },
  {
    row: 'run -v with a relative target',
    part: 'stderr',
    ours: /invalid mount path: 'rel' mount path must be absolute/,
    reason: NEWER,
  },
  { row: 'run -v of the root as target', part: 'stderr', ours: /destination can't be '\/'/, reason: NEWER },
  {
    row: 'load of garbage',
    part: 'stderr',
    ours: /Reading the tar archive failed: invalid tar header/,
    reason: REMEDY,
  },
  {
    row: 'load of a tar that is no image',
    part: 'stderr',
    ours: /holds neither manifest.json nor an OCI layout/,
    reason: REMEDY,
  },
  // The user namespace.
  {
    row: 'top',
    part: 'stdout',
    ours: /^\d+\+? 99 sleep$/m,
    reason: 'each container has uids of its own; ps on the host shows those',
  },
  {
    row: 'run --network host is in the network namespace of the host',
    part: 'stderr',
    ours: /cannot bind ports below 1024/,
    reason: 'a user namespace of its own is the default here; the warning says how to have Docker’s',
  },
  {
    row: 'run --ipc container shares /dev/shm',
    part: 'stderr',
    ours: /A shareable \/dev\/shm is a folder/,
    reason:
      'the two containers have user namespaces of their own, so their shared memory is a folder; the warning says so',
  },
  {
    row: 'inspect of defaults',
    part: 'stdout',
    ours: /"\/proc\/cmdline",[^]*"Runtime": "namespaces"/,
    reason: 'more of /proc and /sys is closed, and the default runtime is the level',
  },
  {
    row: 'network inspect of the bridge',
    part: 'stdout',
    ours: /"172\.17\.0\.0\/16"[^]*"fd[0-9a-f:]+\/64"/,
    reason: 'the default bridge has IPv6 where the host has it, so that what is published on [::] is served',
  },
  ...(
    [
      ['code', /^1$/],
      ['stdout', /^0$/m],
    ] as const
  ).map(([part, ours]): Difference => ({
    row: 'run -p serves on the IPv6 loopback',
    part,
    ours,
    reason:
      'without a proxy nothing leads from ::1 to a container; refused at once, clients go on to 127.0.0.1',
  })),
  // Raw API.
  {
    row: 'raw API: container inspect, state',
    part: 'stdout',
    ours: /"HostConfig"/,
    reason: 'KernelMemory and KernelMemoryTCP are gone from dockerd 28',
  },
  ...['raw API: images/json', 'raw API: df'].map((row): Difference => ({
    row,
    part: 'stdout',
    ours: /"RepoDigests":\[\]/,
    reason: 'an empty list since API 1.43, null in dockerd 20.10',
  })),
  { row: 'raw API: image of nothing', part: 'stdout', ours: /"No such image: nosuch:latest"/, reason: NEWER },
  // Other levels, newer API.
  {
    row: 'volume prune',
    part: 'stdout',
    ours: /^1$/m,
    reason: 'from API 1.42 on only anonymous volumes are pruned; dockerd 20.10 speaks 1.41',
  },
  {
    row: 'inspect of an image has these fields',
    part: 'stdout',
    ours: /RepoDigests/,
    reason: 'Container, ContainerConfig and VirtualSize are gone from API 1.44 and 1.45 on',
  },
  {
    row: 'API: version too old',
    part: 'stdout',
    ours: /Minimum supported API version is 1.24[^]*400/,
    reason: 'this engine begins at 1.24',
  },
  {
    row: 'API: version too new',
    part: 'stdout',
    ours: /Maximum supported API version is 1.5\d[^]*400/,
    reason: 'newer API',
  },
  ...[
    'API: malformed JSON',
    'API: wrong types',
    'API: wrong types deep inside',
    'API: empty body',
    'API: bad filters',
    'API: bad limit',
  ].map((row): Difference => ({ row, part: 'stdout', ours: /\n400/, reason: STATUS })),
  {
    row: 'API: create without an image',
    part: 'stdout',
    ours: /400/,
    reason: 'dockerd 20.10 makes a container that cannot start; dockerd 28 refuses',
  },
  { row: 'API: wait with a bad condition', part: 'stdout', ours: /invalid condition[^]*400/, reason: NEWER },
  {
    row: /^API: path with .*dots$/,
    part: 'stdout',
    ours: /404/,
    reason: 'dockerd redirects to the cleaned path; here no path with dots leads anywhere',
  },
]
