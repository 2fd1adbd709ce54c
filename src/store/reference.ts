/**
 * Names of images as Docker reads them (github.com/distribution/reference, grammar of reference.go):
 * nginx → docker.io/library/nginx:latest.
 */
import { DewarError } from '../base/errors.ts'
import { isDigest } from './digest.ts'
import type { Digest } from './digest.ts'

export interface Reference {
  /** "docker.io", "localhost:5000" */
  readonly domain: string
  /** "library/nginx" */
  readonly path: string
  readonly tag?: string
  readonly digest?: Digest
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const DOMAIN = new RegExp(`^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`)
const TAG = /^[\w][\w.-]{0,127}$/
const NAME_MAX = 255
const HUB = 'docker.io'

/** Throws `invalid-argument` in Docker's words. Adds no tag: see `withDefaultTag`. */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  }
  const { name, tag, digest } = split(text)
  const { domain, path } = splitDomain(name)
  if (!DOMAIN.test(domain) || !PATH.test(path)) {
    if (/[A-Z]/.test(path))
      throw invalid(`invalid reference format: repository name (${path}) must be lowercase`)
    throw invalid()
  }
  if (`${domain}/${path}`.length > NAME_MAX) {
    throw invalid(`invalid reference format: repository name must not be more than ${NAME_MAX} characters`)
  }
  if (tag !== undefined && !TAG.test(tag)) throw invalid()
  if (digest !== undefined && !isDigest(digest)) {
    throw invalid(/^sha256:[0-9a-fA-F]*$/.test(digest) ? 'invalid checksum digest length' : undefined)
  }
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) }
}

function split(text: string): { name: string; tag?: string; digest?: string } {
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : text.slice(at + 1)
  const named = at < 0 ? text : text.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const withDigest = digest === undefined ? {} : { digest }
  if (colon < 0) return { name: named, ...withDigest }
  return { name: named.slice(0, colon), tag: named.slice(colon + 1), ...withDigest }
}

/** The first part is a registry when it looks like a host: a dot, a port, "localhost", or capital letters. */
function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, slash)
  const isHost = slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)
  const domain = isHost ? first : HUB
  const path = isHost ? name.slice(slash + 1) : name
  const hub = domain === 'index.docker.io' || domain === HUB
  return {
    domain: hub ? HUB : domain,
    path: hub && !path.includes('/') && path !== '' ? `library/${path}` : path,
  }
}

function invalid(what = 'invalid reference format'): DewarError {
  return new DewarError('invalid-argument', what)
}

export function withDefaultTag(reference: Reference): Reference {
  const bare = reference.tag === undefined && reference.digest === undefined
  return bare ? { ...reference, tag: 'latest' } : reference
}

/** "docker.io/library/nginx" */
export function repositoryOf(reference: Reference): string {
  return `${reference.domain}/${reference.path}`
}

/** As Docker shows it: "nginx", "user/app", "localhost:5000/app". */
export function familiarName({ domain, path }: Reference): string {
  if (domain !== HUB) return `${domain}/${path}`
  const short = path.slice('library/'.length)
  return path.startsWith('library/') && !short.includes('/') ? short : path
}

/** With its tag and digest, "nginx:1.27". */
export function familiarReference(reference: Reference): string {
  const { tag, digest } = reference
  return `${familiarName(reference)}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** The canonical form that tags are kept under, "docker.io/library/nginx:latest". Needs a tag or digest. */
export function canonical(reference: Reference): string {
  const { tag, digest } = reference
  return `${repositoryOf(reference)}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}
