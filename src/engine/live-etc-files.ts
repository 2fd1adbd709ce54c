/** /etc/hosts and resolv.conf of a container that runs, which it may have edited, when its networks change. */
import { hasNames, type Network } from '../network/network.ts'
import { hostNames } from '../network/resolver-files.ts'
import { storageError } from '../store/write-whole.ts'
import type { Container } from './container.ts'
import type { Place } from './endpoint-state.ts'
import { resolvContent } from './etc-files.ts'
import { asBytes, readGuestFile, writeGuestFile } from './guest-file.ts'
import type { ContainerRecord } from './record.ts'
import type { Services } from './services.ts'
import { effectiveHostname } from './spec.ts'

export interface EtcFile {
  readonly path: string
  /** A character for each byte. */
  readonly before: string
  readonly text: string
}

/** With lines for its address on one more network. */
export function hostsWith(
  services: Services,
  { record, paths }: Container,
  network: Network,
  place: Place,
): EtcFile[] {
  const before = readGuestFile(paths.hosts)
  if (before === undefined) return []
  const hostname = effectiveHostname({
    config: record.config,
    host: record.hostConfig,
    facts: services.facts,
  })
  const names = hostNames(hostname, record.config.domainname)
  const addresses = [place.address, ...(hasNames(network) ? [place.address6] : [])]
  const lines = addresses.flatMap((address) => (address === undefined ? [] : [`${address}\t${names}\n`]))
  const whole = before + (before === '' || before.endsWith('\n') ? '' : '\n')
  return [{ path: paths.hosts, before, text: whole + asBytes(lines.join('')) }]
}

export function hostsWithout({ paths }: Container, places: readonly Place[]): EtcFile[] {
  const before = readGuestFile(paths.hosts)
  if (before === undefined) return []
  const addresses = new Set(places.flatMap(({ address, address6 }) => [address, address6]))
  const kept = before.split('\n').filter((line) => !addresses.has(line.split('\t')[0]))
  return [{ path: paths.hosts, before, text: kept.join('\n') }]
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
  const before = asBytes(resolvContent(services, record))
  if (readGuestFile(path) !== before) return []
  return [{ path, before, text: asBytes(resolvContent(services, next)) }]
}

/** Answers what puts back what was there. */
export function writeFiles(files: readonly EtcFile[]): () => void {
  const putBack = (): void => {
    try {
      for (const { path, before } of files) writeGuestFile(path, before)
    } catch {
      // What kept the new text from being written is what counts.
    }
  }
  try {
    for (const { path, text } of files) writeGuestFile(path, text)
  } catch (error) {
    putBack()
    throw storageError(`Writing ${files.map(({ path }) => path).join(' and ')}`, error)
  }
  return putBack
}
