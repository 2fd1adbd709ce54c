/** /etc/hosts and resolv.conf of a container that runs, which it may have edited, when its networks change. */
import { readFileSync, statSync } from 'node:fs'
import { hasNames, type Network } from '../network/network.ts'
import { hostNames } from '../network/resolver-files.ts'
import { overwrite, storageError } from '../store/write-whole.ts'
import type { Container } from './container.ts'
import type { Place } from './endpoint-state.ts'
import { resolvContent } from './etc-files.ts'
import type { ContainerRecord } from './record.ts'
import type { Services } from './services.ts'
import { effectiveHostname } from './spec.ts'

export interface EtcFile {
  readonly path: string
  readonly text: string
}

/** Bytes; a container that writes more into its own file keeps it as it is. */
const LARGEST_FILE = 1024 * 1024

function readSmall(path: string): string | undefined {
  return statSync(path).size > LARGEST_FILE ? undefined : readFileSync(path, 'utf8')
}

/** With lines for its address on one more network. */
export function hostsWith(
  services: Services,
  { record, paths }: Container,
  network: Network,
  place: Place,
): EtcFile[] {
  const text = readSmall(paths.hosts)
  if (text === undefined) return []
  const hostname = effectiveHostname({
    config: record.config,
    host: record.hostConfig,
    facts: services.facts,
  })
  const names = hostNames(hostname, record.config.domainname)
  const addresses = [place.address, ...(hasNames(network) ? [place.address6] : [])]
  const lines = addresses.flatMap((address) => (address === undefined ? [] : [`${address}\t${names}\n`]))
  const before = text + (text === '' || text.endsWith('\n') ? '' : '\n')
  return [{ path: paths.hosts, text: before + lines.join('') }]
}

export function hostsWithout({ paths }: Container, places: readonly Place[]): EtcFile[] {
  const text = readSmall(paths.hosts)
  if (text === undefined) return []
  const addresses = new Set(places.flatMap(({ address, address6 }) => [address, address6]))
  const kept = text.split('\n').filter((line) => !addresses.has(line.split('\t')[0]))
  return [{ path: paths.hosts, text: kept.join('\n') }]
}

/** With the name server that it gets by `next` and had not before. */
export function resolverWith(
  services: Services,
  { record, paths: { resolvConf: path } }: Container,
  next: ContainerRecord,
): EtcFile[] {
  const { networks } = services
  if (networks.servesNames(record) || !networks.servesNames(next)) return []
  // Who has changed the file knows better, as its own comment promises.
  if (readSmall(path) !== resolvContent(services, record)) return []
  return [{ path, text: resolvContent(services, next) }]
}

/**
 * In place: the container has these very files mounted. Not emptied first: a full disk might not give the room back.
 * Answers what puts back what was there.
 */
export function writeFiles(files: readonly EtcFile[]): () => void {
  const before = files.map(({ path }) => ({ path, text: readFileSync(path, 'utf8') }))
  const putBack = (): void => {
    try {
      for (const { path, text } of before) overwrite(path, text)
    } catch {
      // What kept the new text from being written is what counts.
    }
  }
  try {
    for (const { path, text } of files) overwrite(path, text)
  } catch (error) {
    putBack()
    throw storageError(`Writing ${files.map(({ path }) => path).join(' and ')}`, error)
  }
  return putBack
}
