/**
 * The plan: everything the native core will do to make a process, as a flat, typed list of steps.
 *
 * A plan is pure data. It is decided in TypeScript, can be printed (`dewar plan`), compared and tested
 * without root, and is carried out by `native/` one step after the other, which answers success or
 * `{step, errno, path}`. There is no policy in the core and no system call here.
 *
 * Each step names its **actor**, that is, in which process it runs:
 * - `host`   the shim (or the short-lived runner), in the host's namespaces, before the clone;
 * - `parent` the same process after the clone, while the child waits: id maps, things that need the child;
 * - `guest`  the child, inside the new namespaces, up to the final `exec` (or `unpack`, `pack`, `read`);
 * - `after`  the shim when the container's first process has ended, in reverse order, like `defer`: each undoes
 *            what comes behind it in the list, and when a step of the plan fails only the `after` steps before
 *            that step run. Every one is tried, whatever the others answered, and must be idempotent: the engine
 *            runs them again when a shim was killed.
 *
 * Descriptors, not paths: a **slot** (0 ≤ slot < 256) holds a descriptor between steps. Slots filled by host
 * and parent steps are visible to the guest, and behind a gate the guest's to them. `at: slot` resolves `path` inside that descriptor with
 * openat2(RESOLVE_IN_ROOT): no symlink in it can lead outside.
 */
export type Actor = 'host' | 'parent' | 'guest' | 'after'
export type Slot = number

interface At {
  /** Absolute host path, or a path inside `at` when that is given. */
  readonly path: string
  readonly at?: Slot
  /** Where `at` lies, such as /proc: for people who read the plan or why it failed. */
  readonly within?: string
}

export type Action =
  // files
  | (At & { readonly op: 'open'; readonly slot: Slot; readonly flags: number; readonly mode?: number })
  /** Opens an existing file write-only and writes `data` in one write(2) (cgroup and sysctl files want that). */
  | (At & { readonly op: 'write'; readonly data: string | Uint8Array; readonly optional?: boolean })
  /** mkdir; an existing directory is fine. */
  | (At & { readonly op: 'mkdir'; readonly mode: number; readonly uid?: number; readonly gid?: number })
  | (At & {
      readonly op: 'mknod'
      /** Full mode with S_IFCHR or S_IFBLK. */
      readonly mode: number
      readonly major: number
      readonly minor: number
      readonly uid?: number
      readonly gid?: number
    })
  | (At & { readonly op: 'symlink'; readonly target: string; readonly uid?: number; readonly gid?: number })
  /** rmdir of one empty directory (a cgroup); ENOENT is fine, EBUSY is tried again for up to a second. */
  | (At & { readonly op: 'rmdir' })
  // mounts
  /** fsopen + fsconfig + fsmount into a slot. An option value may be a slot (FSCONFIG_SET_FD). */
  | {
      readonly op: 'fsmount'
      readonly slot: Slot
      readonly type: string
      readonly options: readonly (readonly [key: string, value?: string | { readonly slot: Slot }])[]
      /** MOUNT_ATTR_* */
      readonly attrs: number
    }
  /** open_tree(OPEN_TREE_CLONE); `recursive` adds AT_RECURSIVE. */
  | (At & { readonly op: 'clone-mount'; readonly slot: Slot; readonly recursive: boolean })
  /** mount_setattr on the mount in `slot`; `userns` idmaps it by the user namespace in that slot. */
  | {
      readonly op: 'mount-attr'
      readonly slot: Slot
      readonly set: number
      readonly clear: number
      readonly propagation?: number
      readonly userns?: Slot
      readonly recursive: boolean
    }
  /** move_mount of `slot` onto `path` inside `at`. `create`: a missing target is made, as a file or directory like the mount. */
  | (At & { readonly op: 'attach-mount'; readonly slot: Slot; readonly create: boolean })
  /**
   * Puts a clone with these attributes over `path`, whose last component is not followed: of what is in one of the two
   * slots, by whether a folder lies there or something else, or without slots of the path itself.
   */
  | (At & {
      readonly op: 'cover'
      readonly attrs: number
      readonly optional: boolean
      readonly by?: { readonly folder: Slot; readonly file: Slot }
    })
  /** umount2; a path that is not there, or on which nothing is mounted, is fine. */
  | { readonly op: 'umount'; readonly path: string; readonly flags: number }
  /** Changes propagation of the whole tree at / (MS_PRIVATE, MS_SLAVE …). */
  | { readonly op: 'propagation'; readonly flags: number }
  /** pivot_root into the mount in `slot`, detach the old root, and check that it is out of reach. */
  | { readonly op: 'pivot'; readonly slot: Slot }
  // namespaces and identity
  /**
   * Exactly once in a plan that makes a process. `flags`: CLONE_NEW*. Actor `host`. `owner`: the host's uid that is to
   * own the new user namespace. To it the kernel charges what it counts per user (inotify instances, namespaces …) of
   * all who are inside: with the host's root as the owner one container could use up what root and the others may have.
   */
  | { readonly op: 'clone'; readonly flags: number; readonly cgroup?: Slot; readonly owner?: number }
  /**
   * Parts a plan into stages. In each the host's steps are carried out first, then the parent's, then the guest's, which
   * waits here meanwhile. What comes behind the last gate may be sent later than what is before it.
   */
  | { readonly op: 'gate' }
  /** Maps of the waiting child's user namespace. Actor `parent`. */
  | { readonly op: 'idmap'; readonly uid: string; readonly gid: string }
  /** Opens a namespace of the waiting child (`user`, `net`, …) into a slot. Actor `parent`. */
  | { readonly op: 'open-ns'; readonly slot: Slot; readonly kind: string }
  | { readonly op: 'unshare'; readonly flags: number }
  | { readonly op: 'setns'; readonly slot: Slot; readonly flags: number }
  /** A sibling goes on in this process's place, in new namespaces by `flags`: only children enter a PID namespace. Actor `guest`. */
  | { readonly op: 'sibling'; readonly flags: number }
  /**
   * The clocks of the time namespace that the waiting child has made and nobody is in yet: offsets such as
   * "monotonic -5 0\n", or with `zero` those that make them start at nought when the plan is sent. Actor `parent`.
   */
  | { readonly op: 'clock-offsets'; readonly offsets: string; readonly zero: boolean }
  /** Writes "0" to the cgroup file open in `slot`: the writer joins (no global lock, unlike writing a pid). */
  | { readonly op: 'join'; readonly slot: Slot }
  | { readonly op: 'hostname'; readonly name: string }
  | { readonly op: 'domainname'; readonly name: string }
  | { readonly op: 'rlimit'; readonly resource: number; readonly soft: bigint; readonly hard: bigint }
  | {
      readonly op: 'user'
      readonly uid: number
      readonly gid: number
      readonly groups: readonly number[]
    }
  /** -1000 … 1000, of the waiting child. Lowering needs CAP_SYS_RESOURCE. Actor `parent`. */
  | { readonly op: 'oom-score'; readonly score: number }
  /**
   * Capabilities as 64-bit masks: the bounding set, and what is held, that is, permitted and effective; none is
   * inheritable or ambient. The core tries to regain what was dropped and stops if that works.
   */
  | {
      readonly op: 'caps'
      readonly bounding: bigint
      readonly held: bigint
    }
  | { readonly op: 'no-new-privs' }
  /** A classic BPF program: struct sock_filter[], 8 bytes each, little endian. */
  | { readonly op: 'seccomp'; readonly filter: Uint8Array; readonly flags: number }
  /** chdir, then a check that the result is inside the root (CVE-2024-21626). `create`: mkdir -p first. */
  | { readonly op: 'chdir'; readonly path: string; readonly create: boolean }
  // network
  /**
   * Sends netlink messages and reads an acknowledgement for each (NLM_F_ACK is set by the sender's bytes);
   * `pidAt`: offsets in `data` where the child's pid (u32) is to be put. `ignore`: errno that are fine.
   * `emit`: replies are sent to the engine as data frames (dumps).
   */
  | {
      readonly op: 'netlink'
      /** NETLINK_ROUTE 0, NETLINK_NETFILTER 12 */
      readonly protocol: number
      readonly data: Uint8Array
      readonly pidAt?: readonly number[]
      readonly ignore?: readonly number[]
      readonly emit?: boolean
      /** What it does in words, for `dewar plan`. */
      readonly why: string
    }
  /**
   * Binds a socket to the address and keeps it until the process that carries out the plan ends (a shim: as long
   * as the container lives), so that nobody else can take a published port. EADDRINUSE, EADDRNOTAVAIL as they are.
   */
  | {
      readonly op: 'reserve-port'
      readonly protocol: 'tcp' | 'udp' | 'sctp'
      /** 4 or 16 bytes */
      readonly address: Uint8Array
      readonly port: number
      /** TCP or UDP over IPv4: the socket goes to the engine under this name (core-api.ts, `onLent`), and is not kept. */
      readonly lendAs?: string
    }
  /** Loads a BPF_PROG_TYPE_CGROUP_DEVICE program and attaches it to the v2 cgroup directory open in `slot`. */
  | { readonly op: 'device-program'; readonly slot: Slot; readonly program: Uint8Array }
  // the last guest step
  /** Allocates a terminal from /dev/pts of the new root, hands its master to the shim, makes it the controlling one. */
  | { readonly op: 'tty'; readonly rows: number; readonly cols: number; readonly console: boolean }
  | {
      readonly op: 'exec'
      readonly argv: readonly string[]
      readonly env: readonly string[]
      /** Run a small init as the first process, which forwards signals and reaps. */
      readonly init: boolean
    }
  /** Unpacks an operation stream from the connection into the current directory. */
  | { readonly op: 'unpack' }
  /** Walks `path` in the current root and writes it as an operation stream to the connection; `alone`: not into folders. */
  | { readonly op: 'pack'; readonly path: string; readonly alone?: boolean }
  /**
   * Emits the content of a regular file as one data frame, cut at `max` bytes; a missing file or anything that
   * is not a regular file emits an empty frame (a FIFO as /etc/passwd must not hang).
   */
  | (At & { readonly op: 'read'; readonly max: number })

export type Step = { readonly actor: Actor } & Action

export interface Plan {
  readonly steps: readonly Step[]
}
