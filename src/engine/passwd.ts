/**
 * `--user` against the container's /etc/passwd and /etc/group, with the rules and words of runc
 * (moby/sys/user, GetExecUser). The files come from an image and may hold anything: lines that do not parse are
 * skipped, nothing here throws for a strange file.
 */
import { DewarError } from '../base/errors.ts'

export interface ExecUser {
  readonly uid: number
  readonly gid: number
  /** The primary group is not repeated here. */
  readonly additionalGids: readonly number[]
  readonly home: string
}

export interface UserFiles {
  readonly passwd: string
  readonly group: string
}

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  /** Names between commas. */
  readonly members: string
}

/** 2^31-1: what runc accepts, although the kernel takes more. */
const MAX_ID = 2_147_483_647

/** Whether the files are needed to know the ids (`0:0`) or only for HOME and groups. */
export function resolveUser(spec: string, files: UserFiles, groupAdd: readonly string[] = []): ExecUser {
  const [userPart, groupPart = ''] = splitOnce(spec, ':')
  const entry = findUser(userPart, files.passwd)
  const uid = entry?.uid ?? numericOr(userPart, 0, () => missing('user', userPart, 'passwd'))
  const groups = (): Iterable<GroupEntry> => parseGroup(files.group)
  const gid = groupPart === '' ? (entry?.gid ?? 0) : groupId(groupPart, groups)
  const byMembership = groupPart === '' && entry !== undefined ? [...withMember(groups(), entry.name)] : []
  const extra = groupAdd.map((name) => groupId(name, groups))
  for (const id of [uid, gid, ...extra]) checkRange(id)
  const additional = new Set([
    ...byMembership.map((group) => group.gid).filter((id) => id <= MAX_ID),
    ...extra,
  ])
  additional.delete(gid)
  return { uid, gid, additionalGids: [...additional], home: entry?.home || '/' }
}

function findUser(name: string, passwd: string): PasswdEntry | undefined {
  const uid = name === '' ? 0 : parseId(name)
  for (const entry of parsePasswd(passwd))
    if (entry.uid === uid || (name !== '' && entry.name === name)) return entry
  return undefined
}

function groupId(name: string, groups: () => Iterable<GroupEntry>): number {
  const id = parseId(name)
  for (const group of groups()) if (group.name === name || group.gid === id) return group.gid
  return numericOr(name, 0, () => missing('group', name, 'group'))
}

function* withMember(groups: Iterable<GroupEntry>, name: string): Generator<GroupEntry> {
  if (name === '') return
  // Nearly all lists are told from those with the name by a search for it, without taking them apart.
  for (const group of groups)
    if (group.members.includes(name) && group.members.split(',').includes(name)) yield group
}

function numericOr(text: string, empty: number, otherwise: () => DewarError): number {
  if (text === '') return empty
  const id = parseId(text)
  if (id === undefined) throw otherwise()
  return id
}

/** Go's strconv.Atoi: an optional sign and digits, nothing else. */
function parseId(text: string): number | undefined {
  if (!/^[+-]?[0-9]{1,19}$/.test(text)) return undefined
  return Number(text)
}

function checkRange(id: number): void {
  if (id >= 0 && id <= MAX_ID) return
  throw new DewarError('invalid-argument', `uids and gids must be in range 0-${MAX_ID}`, {
    remedy: `${id} was asked for; choose a smaller one with --user`,
  })
}

function missing(kind: 'user' | 'group', name: string, file: string): DewarError {
  return new DewarError(
    'invalid-argument',
    `unable to find ${kind} ${name}: no matching entries in ${file} file`,
  )
}

function parsePasswd(text: string): Iterable<PasswdEntry> {
  return fields(text, (parts) => {
    const [name = '', , uid = '', gid = '', , home = ''] = parts
    const ids = [parseId(uid), parseId(gid)]
    if (ids[0] === undefined || ids[1] === undefined) return undefined
    return { name, uid: ids[0], gid: ids[1], home }
  })
}

function parseGroup(text: string): Iterable<GroupEntry> {
  return fields(text, (parts) => {
    const [name = '', , gid = '', members = ''] = parts
    const id = parseId(gid)
    return id === undefined ? undefined : { name, gid: id, members }
  })
}

/** passwd(5) has seven. */
const FIELDS = 7

/** Line by line, since a guest may have made many: who is found early costs nothing, and nothing is kept. */
function* fields<T>(text: string, read: (parts: readonly string[]) => T | undefined): Generator<T> {
  for (let start = 0, end = 0; start < text.length; start = end + 1) {
    const newline = text.indexOf('\n', start)
    end = newline === -1 ? text.length : newline
    const line = text.slice(start, end).trim()
    if (line === '' || line.startsWith('#')) continue
    const entry = read(line.split(':', FIELDS))
    if (entry !== undefined) yield entry
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
