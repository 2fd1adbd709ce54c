const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EEXIST: 'file exists',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
}

/** A system error in the words Go's programs print. */
export function errnoText(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return String(error)
  const code = String(error.code)
  return TEXTS[code] ?? code
}
