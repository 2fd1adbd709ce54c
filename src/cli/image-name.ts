/** Image names as Docker reads and shows them: nginx is docker.io/library/nginx:latest and is shown as nginx. */
export interface ImageName {
  readonly domain: string
  readonly path: string
  readonly tag: string | undefined
  readonly digest: string | undefined
}

const DOMAIN =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::\d+)?$/
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const TAG = /^\w[\w.-]{0,127}$/
const DIGEST = /^[a-zA-Z][a-zA-Z0-9]*(?:[-_+.][a-zA-Z][a-zA-Z0-9]*)*:[0-9a-fA-F]{32,}$/

/** Throws Error in docker's words when it is no name. */
export function parseImageName(text: string): ImageName {
  if (/^[a-f0-9]{64}$/.test(text))
    throw new Error(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  const [beforeDigest, digest] = splitOnce(text, '@')
  const slash = beforeDigest.lastIndexOf('/')
  const colon = beforeDigest.indexOf(':', slash + 1)
  const name = colon < 0 ? beforeDigest : beforeDigest.slice(0, colon)
  const tag = colon < 0 ? undefined : beforeDigest.slice(colon + 1)
  const { domain, path } = splitDomain(name)
  const known =
    DOMAIN.test(domain) &&
    (tag === undefined || TAG.test(tag)) &&
    (digest === undefined || DIGEST.test(digest))
  if (path !== path.toLowerCase() && known)
    throw new Error('invalid reference format: repository name (' + path + ') must be lowercase')
  if (!known || !PATH.test(path)) throw new Error('invalid reference format')
  return { domain, path, tag, digest }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(0, slash))
  const isDomain =
    slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const domain = !isDomain || first === 'index.docker.io' ? 'docker.io' : first
  const rest = isDomain ? name.slice(slash + 1) : name
  return { domain, path: domain === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest }
}

/** docker.io/library/nginx */
export function fullRepository(name: ImageName): string {
  return `${name.domain}/${name.path}`
}

/** nginx, team/app, registry:5000/app: without what Docker leaves out. */
export function familiarRepository(name: ImageName): string {
  if (name.domain !== 'docker.io') return fullRepository(name)
  return name.path.replace(/^library\/(?=[^/]+$)/, '')
}

export function familiarName(name: ImageName): string {
  return `${familiarRepository(name)}${suffix(name)}`
}

/** With `latest` where neither tag nor digest is named. */
export function withDefaultTag(name: ImageName): ImageName {
  return name.tag === undefined && name.digest === undefined ? { ...name, tag: 'latest' } : name
}

function suffix(name: ImageName): string {
  return `${name.tag === undefined ? '' : `:${name.tag}`}${name.digest === undefined ? '' : `@${name.digest}`}`
}
