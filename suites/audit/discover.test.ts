/** The discoverer on plain namespaces, in which /proc and /sys are the host's: it must find what everybody knows, untold. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { discoverIn } from '../../src/audit/discover/discover.ts'
import { openGuest } from '../../src/audit/guest.ts'
import { processOfChild } from '../../src/audit/guest-process.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const PROGRAM = join(PROJECT, 'native', 'build', 'dewar-probe')

test(
  'discover finds the well-known channels without being told, and others',
  { skip: missing('unshare', 'ip') },
  async () => {
    await using folder = await tempFolder('discover')
    const argv = [
      '--pid',
      '--fork',
      '--mount-proc',
      '--net',
      '--ipc',
      '--uts',
      '--kill-child',
      PROGRAM,
      'audit-guest',
    ]
    await using guest = await openGuest(processOfChild(spawn('unshare', argv)))
    const signal = AbortSignal.timeout(240_000)
    const found = await discoverIn(guest, 'namespaces', { program: PROGRAM, folder: folder.path, signal })
    const paths = new Map(found.map((one) => [one.path, one]))
    for (const path of [
      '/proc/stat',
      '/proc/meminfo',
      '/proc/vmstat',
      '/proc/uptime',
      '/proc/sys/fs/file-nr',
    ])
      assert.notEqual(paths.get(path)?.kind ?? 'equal-value', 'equal-value', `${path} moves with the host`)
    assert.equal(paths.get('/proc/sys/kernel/random/boot_id')?.kind, 'equal-value')
    assert.deepEqual(paths.get('/proc/stat')?.known, ['I08'])
    assert.ok(
      found.some(({ known }) => known.length === 0),
      'channels that no list has',
    )
    for (const path of [
      '/proc/filesystems',
      '/proc/sys/kernel/pid_max',
      '/proc/self/status',
      '/proc/sys/kernel/random/uuid',
    ])
      assert.equal(paths.has(path), false, `${path} carries nothing of the host`)
  },
)
