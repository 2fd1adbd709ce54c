/**
 * What stands in a container's folder and in that of its runs. Each file that is made has to be given an inode, which on
 * a busy ext4 takes longer than all else that is done to it: 0.14 ms where many were deleted in the last minutes and
 * there is no journal (`recently_deleted` in fs/ext4/ialloc.c, Linux 6.18), else 0.02. So a container that is not there
 * yet has its files made in advance, empty, when nobody waits: whoever writes them opens what is there.
 */
import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_DRAFT, EXIT_FILE, SHIM_SOCKET } from '../kernel/shim.ts'
import { RECORD_FILES } from './record-file.ts'
import type { IdRange } from './spec-namespaces.ts'

export interface ContainerPaths {
  readonly folder: string
  readonly upper: string
  readonly work: string
  readonly log: string
  readonly hosts: string
  readonly hostname: string
  readonly resolvConf: string
  readonly bootId: string
}

export function containerPaths(folder: string): ContainerPaths {
  return {
    folder,
    upper: join(folder, 'upper'),
    work: join(folder, 'work'),
    log: join(folder, 'log'),
    hosts: join(folder, 'hosts'),
    hostname: join(folder, 'hostname'),
    resolvConf: join(folder, 'resolv.conf'),
    bootId: join(folder, 'boot-id'),
  }
}

/** Its folder with an empty writable layer. */
export function makeLayer({ folder, upper, work }: ContainerPaths, range: IdRange | null): void {
  mkdirSync(folder, { mode: 0o700 })
  mkdirSync(upper, { mode: 0o755 })
  mkdirSync(work, { mode: 0o700 })
  if (range !== null) for (const path of [upper, work]) chownSync(path, range.base, range.base)
}

/** All that a container and its first run write; `logs`: a log too, which not every driver has. */
export function furnish(paths: ContainerPaths, range: IdRange | null, run: string, logs: boolean): void {
  makeLayer(paths, range)
  for (const path of [paths.hosts, paths.hostname, paths.resolvConf, paths.bootId]) writeFileSync(path, '')
  for (const name of RECORD_FILES) writeFileSync(join(paths.folder, name), '', { mode: 0o600 })
  if (logs) writeFileSync(paths.log, '', { mode: 0o640 })
  mkdirSync(run, { recursive: true, mode: 0o700 })
  writeFileSync(join(run, EXIT_DRAFT), '', { mode: 0o600 })
}

/** Nearly always there are two files in it; to look first took 0.7 ms before each end was told. */
export function removeRunFolder(run: string): void {
  try {
    for (const name of [EXIT_FILE, SHIM_SOCKET]) unlinkSync(join(run, name))
    rmdirSync(run)
  } catch {
    rmSync(run, { recursive: true, force: true })
  }
}

/**
 * Asks ext4 to place each folder in these by itself, not beside its parent (chattr(1), T): else all of them are in one block
 * group, and each new file is looked for past the inodes of all that were deleted there in the last minutes. 50 containers
 * at a time took 6.9 ms each instead of 11.5 on a disk without a journal, and as long as before on one with a journal. Other
 * file systems have no such flag, and nothing to gain from it.
 */
export function spread(...folders: readonly string[]): Promise<void> {
  return new Promise((resolve) =>
    execFile('chattr', ['+T', ...folders], { timeout: 10_000 }, () => resolve()),
  )
}
