/** Why a container did not start, in the words and with the codes Docker's clients look for. Pure. */
import { DewarError, messageOf } from '../base/errors.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { reserveFailed } from '../network/ports.ts'
import { errnoWords } from './errno-words.ts'
import type { ContainerRecord, RecordedPort } from './record.ts'

export interface StartFailure {
  readonly error: DewarError
  /** What the container's record shows: 127 not found, 126 not executable, 128 anything else. */
  readonly exitCode: number
}

const CREATE = 'failed to create task for container: failed to create shim task: OCI runtime create failed: '
const INIT = 'unable to start container process: error during container init: '
/** How the error of a start begins, up to what failed. */
export const START_FAILED = `${CREATE}${INIT}`
const EXEC = 'OCI runtime exec failed: exec failed: unable to start container process: '

export function startFailure(cause: unknown, argv0: string): StartFailure {
  return failure(cause, argv0, (words) => `${START_FAILED}${words}: unknown`)
}

/** 126 for everything but a missing program, as dockerd gives it. */
export function execFailure(cause: unknown, argv0: string): StartFailure {
  const { error, exitCode } = failure(cause, argv0, (words) => `${EXEC}${words}: unknown`)
  return { error, exitCode: exitCode === 127 ? 127 : 126 }
}

function failure(cause: unknown, argv0: string, phrase: (words: string) => string): StartFailure {
  if (cause instanceof DewarError)
    return { error: cause, exitCode: cause.exitCode === 125 ? 128 : cause.exitCode }
  if (!(cause instanceof PlanFailed)) {
    return { error: new DewarError('system', phrase(messageOf(cause)), { cause }), exitCode: 128 }
  }
  if (cause.op === 'exec') return execStepFailure(cause, argv0, phrase)
  if (cause.op === 'chdir') return workdirFailure(cause, phrase)
  if (cause.path === 'session keyring' && cause.errno === 'EDQUOT')
    return { error: keyringFailure(cause, phrase), exitCode: 128 }
  if (cause.errno === 'ENOSPC' || cause.errno === 'EDQUOT') {
    return {
      error: new DewarError('disk-full', phrase(words(cause)), { cause, remedy: 'free space on the disk' }),
      exitCode: 128,
    }
  }
  // Of a control group it is another errno: see writableStep in src/isolation/namespaces/rootfs.ts.
  if (cause.op === 'rmdir' && cause.errno === 'EROFS') {
    const why = 'mounting its file system to be written to failed: no space left on device'
    return {
      error: new DewarError('disk-full', phrase(why), { cause, remedy: 'free space on the disk' }),
      exitCode: 128,
    }
  }
  const remedy = resourceRemedy(cause)
  const options = remedy === undefined ? { cause } : { cause, remedy }
  return { error: new DewarError('system', phrase(words(cause)), options), exitCode: 128 }
}

/** What only root with CAP_SYS_RESOURCE may do, and nobody beyond the kernel's own bound. */
function resourceRemedy({ op, errno, path }: PlanFailed): string | undefined {
  if (op === 'oom-score' && errno === 'EACCES')
    return 'an engine without CAP_SYS_RESOURCE cannot lower the score below its own'
  if (op !== 'rlimit' || errno !== 'EPERM') return undefined
  return path === `resource limit ${RLIMIT_NOFILE}`
    ? 'nofile may be at most sysctl fs.nr_open, and without CAP_SYS_RESOURCE the hard limit of the engine'
    : 'an engine without CAP_SYS_RESOURCE cannot raise a limit above its own hard one'
}

const RLIMIT_NOFILE = 7

/** EDQUOT is not the disk here: root has as many keys as root may have (keyrings(7)). */
function keyringFailure(cause: PlanFailed, phrase: (words: string) => string): DewarError {
  return new DewarError('system', phrase('no room for a session keyring'), {
    cause,
    remedy: 'raise sysctl kernel.keys.root_maxkeys and root_maxbytes; /proc/key-users says who has how many',
  })
}

/** What a user can do something about, said so; anything else by its step. */
function words(cause: PlanFailed): string {
  const key = `${cause.op} ${cause.errno}`
  switch (key) {
    case 'attach-mount EINVAL':
    case 'attach-mount ENOTDIR':
      return (
        `mounting on ${cause.path} failed: not a directory: Are you trying to mount a directory onto a file ` +
        '(or vice-versa)? Check if the specified host path exists and is the expected type'
      )
    case 'pivot EXDEV':
      return 'the old root would stay in reach: /proc, /sys or /dev of the image is a symbolic link'
    case 'attach-mount ENOENT':
      return `mounting on ${cause.path} failed: a symlink in the image leads nowhere`
    case 'attach-mount ELOOP':
      return `mounting on ${cause.path} failed: too many levels of symbolic links in the image`
    case 'clone-mount ENOENT':
      return `mounting ${cause.path} failed: it is not there (bind source path does not exist)`
    case 'user EINVAL':
      return (
        `becoming ${cause.path} failed: the container has the ids 0 to 65535 only ` +
        '(choose smaller ones with --user, or give it all ids with --userns=host)'
      )
    case 'netlink ENOENT':
      return (
        "the network could not be set up: the engine's tables of the packet filter (nft list tables) are gone, " +
        'perhaps flushed with a firewall (restart the engine, which writes them anew)'
      )
    case 'rlimit EPERM':
      return `error setting rlimit type ${cause.path.replace(/\D/g, '')}: ${errnoWords(cause.errno)}`
    case 'oom-score EACCES':
      return `write oom_score_adj: ${errnoWords(cause.errno)}`
    case 'mount-attr EINVAL':
      return (
        'giving a mount the ids of the container failed: a file system among the bind mounts cannot do that ' +
        '(network and FUSE file systems mostly; add --userns=host)'
      )
  }
  return `step ${cause.step} (${cause.op}) ${cause.path === '' ? '' : `on ${cause.path} `}failed: ${cause.errno}`
}

function execStepFailure(cause: PlanFailed, argv0: string, phrase: (words: string) => string): StartFailure {
  const name = `exec: ${JSON.stringify(argv0)}: `
  const isPath = argv0.includes('/')
  switch (cause.errno) {
    case 'ENOENT':
    case 'ENOTDIR': {
      const why = isPath ? `stat ${argv0}: ${errnoWords(cause.errno)}` : 'executable file not found in $PATH'
      return { error: new DewarError('command-not-found', phrase(name + why), { cause }), exitCode: 127 }
    }
    case 'EACCES':
    case 'EPERM':
    case 'EISDIR':
      return {
        error: new DewarError('command-not-executable', phrase(`${name}permission denied`), { cause }),
        exitCode: 126,
      }
    case 'ENOEXEC':
      return {
        error: new DewarError('command-not-executable', phrase(`exec ${argv0}: exec format error`), {
          cause,
        }),
        exitCode: 126,
      }
    default: {
      // What a look at the path finds before anything is executed.
      const isFound = !isPath || (cause.errno !== 'ELOOP' && cause.errno !== 'ENAMETOOLONG')
      const why = `${isFound ? '' : `stat ${argv0}: `}${errnoWords(cause.errno)}`
      return { error: new DewarError('system', phrase(`${name}${why}`), { cause }), exitCode: 126 }
    }
  }
}

function workdirFailure(cause: PlanFailed, phrase: (words: string) => string): StartFailure {
  const text = `chdir to cwd (${JSON.stringify(cause.path)}) set in config.json failed: ${errnoWords(cause.errno)}`
  const code = cause.errno === 'EACCES' ? 126 : 127
  return {
    error: new DewarError(code === 126 ? 'command-not-executable' : 'command-not-found', phrase(text), {
      cause,
    }),
    exitCode: code,
  }
}

/** The published port that somebody else has, when that is why the plan failed. */
export function busyPort(error: unknown, record: Pick<ContainerRecord, 'network'>): RecordedPort | undefined {
  if (!(error instanceof PlanFailed) || error.op !== 'reserve-port') return undefined
  const number = Number(/(\d+)$/.exec(error.path)?.[1])
  return record.network.published.find(({ hostPort }) => hostPort === number)
}

/** dockerd's words for a port that could not be had. */
export function portFailure(error: unknown, record: ContainerRecord, port: RecordedPort): DewarError {
  const errno = error instanceof PlanFailed ? error.errno : 'EADDRINUSE'
  return reserveFailed({ name: record.name, id: record.id }, port, errno)
}
