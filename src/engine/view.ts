/** A container as the API shows it. */
import { meterFolders } from './meters.ts'
import { closedPaths } from './spec-mounts.ts'
import type { Container } from './container.ts'
import type { ContainerState, ContainerView, HostConfig, Status } from './types.ts'

/** `etc`: where its files of /etc lie, perhaps with another container. */
export function containerView(
  container: Container,
  links: { readonly shown: readonly string[] | null; readonly names: readonly string[] },
  etc: Container['paths'],
  sizes?: { readonly rw: number; readonly rootFs: number },
): ContainerView {
  const { record, paths } = container
  return {
    id: record.id,
    name: record.name,
    linkNames: links.names,
    created: record.created,
    imageId: record.imageId,
    path: record.path,
    args: record.args,
    config: record.config,
    hostConfig: { ...record.hostConfig, maskedPaths: shownMasks(record.hostConfig), links: links.shown },
    state: stateOf(container),
    restartCount: record.restartCount,
    mounts: record.mounts
      .filter((mount) => mount.type !== 'tmpfs' || mount.listed === true)
      .map((mount) => mount.point),
    networks: record.networks,
    ports: container.live.kind === 'running' ? record.ports : unpublished(record.ports),
    paths: {
      log: record.hostConfig.logConfig.type === 'json-file' ? paths.log : '',
      hosts: etc.hosts,
      hostname: etc.hostname,
      resolvConf: etc.resolvConf,
    },
    graph: { lower: record.lower, upper: paths.upper, work: paths.work },
    execIds: [...container.execs.values()].filter((exec) => exec.active).map((exec) => exec.id),
    platform: record.platform,
    ...(sizes === undefined ? {} : { sizeRw: sizes.rw, sizeRootFs: sizes.rootFs }),
  }
}

/** Nothing is published while nothing runs. */
function unpublished(ports: ContainerView['ports']): ContainerView['ports'] {
  return Object.keys(ports).length === 0 ? ports : {}
}

export function stateOf(container: Container): ContainerState {
  const { record, live } = container
  const { state } = record
  const status = statusOf(container)
  const ended = state.status === 'exited' || state.status === 'dead' ? state : undefined
  const health = container.health?.health
  return {
    status,
    // dockerd counts a restarting container as running.
    running: status === 'running' || status === 'paused' || status === 'restarting',
    paused: status === 'paused',
    restarting: status === 'restarting',
    oomKilled: ended?.oomKilled ?? false,
    dead: status === 'dead',
    pid: live.kind === 'running' ? live.shim.pid : 0,
    exitCode: state.status === 'running' ? 0 : state.exitCode,
    error: state.status === 'running' ? '' : state.error,
    startedAt: state.status === 'created' ? 0 : state.startedAt,
    finishedAt: (state.status === 'created' ? undefined : state.finishedAt) ?? 0,
    ...(health === undefined ? {} : { health }),
  }
}

export function statusOf(container: Container): Status {
  switch (container.live.kind) {
    case 'running':
      return container.paused ? 'paused' : 'running'
    case 'restarting':
      return 'restarting'
    case 'removing':
      return 'removing'
    case 'idle':
      // "running" in the record and nothing live: a start that is under way.
      return container.record.state.status === 'running' ? 'created' : container.record.state.status
  }
}

/** What a start would close now. */
function shownMasks(host: HostConfig): readonly string[] | null {
  return host.privileged ? host.maskedPaths : closedPaths(host, false, meterFolders()).masked
}
