const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EEXIST: 'file exists',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
}

/** "open /x: no such file or directory", as Go's programs name a failed system call. */
export function failedCall(path: string, error: unknown): string {
  const call =
    typeof error === 'object' && error !== null && 'syscall' in error ? String(error.syscall) : 'open'
  return `${call} ${path}: ${errnoText(error)}`
}

/** A system error in the words Go's programs print. */
export function errnoText(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return String(error)
  const code = String(error.code)
  return TEXTS[code] ?? code
}
