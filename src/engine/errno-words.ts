/** What execve(2) and chdir(2) may answer, as Go says it, which Docker's clients show. Pure. */

/** Those that Node has no name for by their number, as `errnoName` does. Go 1.19, zerrors_linux_amd64.go. */
const WORDS: Readonly<Record<string, string>> = {
  E2BIG: 'argument list too long',
  EACCES: 'permission denied',
  EAGAIN: 'resource temporarily unavailable',
  EBUSY: 'device or resource busy',
  ECONNABORTED: 'software caused connection abort',
  EFAULT: 'bad address',
  EINTR: 'interrupted system call',
  EINVAL: 'invalid argument',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  ENFILE: 'too many open files in system',
  ENODATA: 'no data available',
  ENODEV: 'no such device',
  ENOENT: 'no such file or directory',
  ENOEXEC: 'exec format error',
  ENOMEM: 'cannot allocate memory',
  ENOSYS: 'function not implemented',
  ENOTCONN: 'transport endpoint is not connected',
  ENOTDIR: 'not a directory',
  ENXIO: 'no such device or address',
  EOVERFLOW: 'value too large for defined data type',
  EPERM: 'operation not permitted',
  ESTALE: 'stale NFS file handle',
  ETIMEDOUT: 'connection timed out',
  ETXTBSY: 'text file busy',
  'errno 79': 'can not access a needed shared library',
  'errno 80': 'accessing a corrupted shared library',
  'errno 108': 'cannot send after transport endpoint shutdown',
  'errno 117': 'structure needs cleaning',
  'errno 121': 'remote I/O error',
  'errno 126': 'required key not available',
  'errno 129': 'key was rejected by service',
}

/** The name itself where there are no words. */
export function errnoWords(errno: string): string {
  return WORDS[errno] ?? errno
}
