/** The table read into calls, and said to one server. */
import { say, type Call, type Said } from './call.ts'

export interface Row {
  /** As it stands in the table: its name. */
  readonly text: string
  readonly call: (names: ReadonlyMap<string, string>, version: string) => Call
  readonly keeps: string | undefined
}

const LEAVE_AFTER_MS = 1_000
const FORM = /^(~ )?([A-Z]+) (\S.*?)(?: <- (.*?))?(?: => (\w+))?$/

export function parseRows(text: string, files: ReadonlyMap<string, Buffer>): Row[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => parseRow(line, files))
}

function parseRow(line: string, files: ReadonlyMap<string, Buffer>): Row {
  const [, leaves, method, path, body, keeps] = FORM.exec(line) ?? []
  if (method === undefined || path === undefined) throw new Error(`reading the table: no row: ${line}`)
  const bytes = body?.startsWith('@') === true ? files.get(body.slice(1)) : body
  if (body !== undefined && bytes === undefined) throw new Error(`reading the table: no file ${body}`)
  return {
    text: line,
    keeps,
    call: (names, version) => ({
      method,
      path: encode(
        version,
        path.replace(/\{(\w+)\}/g, (all, name: string) => names.get(name) ?? all),
      ),
      body: bytes,
      ...(leaves === undefined ? {} : { leaveAfter: LEAVE_AFTER_MS }),
      ...(Buffer.isBuffer(bytes) ? { headers: { 'Content-Type': 'application/x-tar' } } : {}),
    }),
  }
}

/** Values of the query are encoded, and the version is put before a path that has none. */
function encode(version: string, text: string): string {
  const [path = '', query] = text.split(/\?(.*)/s)
  const versioned = /^\/v[\dx]/.test(path) && !path.startsWith('/volumes') ? path : `/${version}${path}`
  if (query === undefined) return versioned
  const pairs = query.split('&').map((pair) => {
    const [name = '', value] = pair.split(/=(.*)/s)
    return value === undefined ? name : `${name}=${encodeURIComponent(value)}`
  })
  return `${versioned}?${pairs.join('&')}`
}

/** Says all rows in order. */
export async function converse(
  socket: string,
  rows: readonly Row[],
  version: string,
): Promise<Map<string, Said>> {
  const names = new Map<string, string>()
  const said = new Map<string, Said>()
  for (const row of rows) {
    names.set('now', String(Math.ceil(Date.now() / 1000)))
    const answer = await say(socket, row.call(names, version))
    const id: unknown = Reflect.get(Object(answer.value), 'Id')
    if (row.keeps !== undefined && typeof id === 'string') names.set(row.keeps, id)
    said.set(said.has(row.text) ? `${row.text} (again)` : row.text, answer)
  }
  return said
}
