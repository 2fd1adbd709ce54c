/** Contexts that a URL names: a tar, a Dockerfile, a git repository. Fetched by the client, as docker does. */
import { execFile } from 'node:child_process'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get as getTls } from 'node:https'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { Failure } from '../failure.ts'

const GIT = /^(git:\/\/|ssh:\/\/|git@|github\.com\/)|^https?:\/\/[^#?]*\.git([#?]|$)/

export const isGitUrl = (text: string): boolean => GIT.test(text)
export const isUrl = (text: string): boolean => /^https?:\/\//.test(text) && !isGitUrl(text)

const REDIRECTS_MAX = 10
const TEXT_MAX = 2000

/** The body of the answer, which says that all is well. */
export async function downloadContext(url: string): Promise<IncomingMessage> {
  let at = url
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const answer = await get(at).catch((error: Error) => {
      throw failed(url, error.message)
    })
    const { statusCode: status = 0, statusMessage = '', headers } = answer
    if (status < 300) return answer
    if (status < 400 && headers.location !== undefined) {
      answer.destroy()
      at = new URL(headers.location, at).href
      continue
    }
    throw failed(url, `failed to GET ${url} with status ${status} ${statusMessage}: ${await textOf(answer)}`)
  }
  throw failed(url, `stopped after ${REDIRECTS_MAX} redirects`)
}

function failed(url: string, why: string): Failure {
  return new Failure(`unable to prepare context: unable to download remote context ${url}: ${why}`)
}

function get(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? getTls : getPlain
    send(url, { headers: { 'User-Agent': 'dewar' } }, resolve).once('error', reject)
  })
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const bytes of answer) {
    text += String(bytes)
    if (text.length > TEXT_MAX) break
  }
  return text.slice(0, TEXT_MAX).trim()
}

export interface Clone extends AsyncDisposable {
  readonly folder: string
}

/** `URL#REF:FOLDER`: one commit of a repository, in a temporary folder that goes with it. */
export async function cloneContext(url: string): Promise<Clone> {
  const [address = '', fragment = ''] = url.split('#', 2)
  const [ref = '', folder = ''] = fragment.split(':', 2)
  const repository = address.startsWith('github.com/') ? `https://${address}` : address
  if (ref.startsWith('-') || repository.startsWith('-')) throw unprepared(`bad reference ${ref}`)
  const root = await realpath(await mkdtemp(join(tmpdir(), 'dewar-build-git-')))
  const remove = (): Promise<void> => rm(root, { recursive: true, force: true })
  try {
    await git(['init', '-q', root], 'error initializing')
    const fetched = ref === '' ? 'HEAD' : ref
    await git(['-C', root, 'fetch', '-q', '--depth', '1', '--', repository, fetched], 'error fetching')
    await git(['-C', root, 'checkout', '-q', 'FETCH_HEAD'], 'error checking out')
    const submodules = ['submodule', 'update', '-q', '--init', '--recursive', '--depth=1']
    await git(['-C', root, ...submodules], 'error initializing submodules')
    return { folder: await below(root, folder), [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}

/** A symlink of the repository leads nowhere outside of it. */
async function below(root: string, folder: string): Promise<string> {
  const path = await realpath(join(root, folder)).catch(() => undefined)
  if (path === undefined || relative(root, path).startsWith('..'))
    throw unprepared(`error setting context, no folder ${folder} in the repository`)
  return path
}

/** The Dockerfile that `-f` names, '' for the usual one: a stranger's link to a file of ours is not sent to the engine. */
export async function dockerfileIn(folder: string, file: string): Promise<string> {
  const path = join(folder, file || 'Dockerfile')
  const real = await realpath(path).catch(() => path)
  if (relative(folder, real).startsWith('..')) {
    const why = `the Dockerfile (${file || 'Dockerfile'}) must be within the build context`
    throw new Failure(`unable to prepare context: ${why}`)
  }
  return file === '' ? '' : path
}

/** What a hook of git's has set: with these git would work on another repository than the clone. */
const OF_ANOTHER =
  /^GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX|SHALLOW_FILE)$/

async function git(args: readonly string[], what: string): Promise<void> {
  const kept = Object.entries(process.env).filter(([name]) => !OF_ANOTHER.test(name))
  // Asking for a password would hang where nobody sits.
  const env = { ...Object.fromEntries(kept), GIT_TERMINAL_PROMPT: '0' }
  try {
    await promisify(execFile)('git', args, { env })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'ENOENT')
      throw unprepared('git is not installed: install it, or clone the repository elsewhere')
    throw unprepared(`${what}: ${said}: exit status ${String(code)}`)
  }
}

function unprepared(why: string): Failure {
  return new Failure(
    `unable to prepare context: unable to 'git clone' to temporary context directory: ${why}`,
  )
}
