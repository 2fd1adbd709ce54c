/**
 * An image whose /proc or /sys is a link through a place that a later mount covers (the kin of CVE-2019-19921 and
 * CVE-2023-27561): the file system lies where the link led first, and what is to close its doors is looked for where
 * the link leads now, finds nothing and passes by.
 */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { HostConfig } from '../../src/index.ts'
import { rigForAll, skip } from '../engine/fixture.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { tarOf, type Member } from '../harness/oci-layout.ts'

const { rig } = rigForAll()

/** `name` is a link to a link in a folder of the image that a mount will cover. */
async function imageWithMoved(name: 'proc' | 'sys', covered: string): Promise<string> {
  const link = (path: string, linkname: string): Member => ({
    name: path,
    type: 'symlink',
    linkname,
    mode: 0o777,
  })
  const members = [
    ...busyboxTree().filter((member) => member.name !== `${name}/`),
    link(name, `${covered}/moved`),
    link(`${covered}/moved`, '../real'),
    { name: 'real/', type: 'directory', mode: 0o755 } satisfies Member,
  ]
  const reference = `moved-${name}`
  await rig().engine.images.import(Readable.from([await tarOf(members)]), {
    reference,
    changes: ['CMD ["sh"]', 'ENV PATH=/bin'],
    onProgress: () => undefined,
  })
  return reference
}

/** What each file tells, in bytes, or that it can be opened for writing; appends nothing. Null devices hide. */
const TRY = `for f in "$@"; do
  [ -e $f ] || continue
  if [ ! -c $f ] && (: >>$f) 2>/dev/null; then echo $f written; elif [ -d $f ]; then echo $f $(ls $f | wc -l); else echo $f $(cat $f 2>/dev/null | wc -c); fi
done`

/** Those of them that say something or can be written. */
async function open(image: string, host: Partial<HostConfig>, paths: readonly string[]): Promise<string[]> {
  const { output } = await rig().finish({ image, cmd: ['sh', '-c', TRY, 'sh', ...paths] }, host)
  const lines = output.trim().split('\n')
  return lines.filter((line) => line !== '' && !line.endsWith(' 0'))
}

const HOSTS = { networkMode: 'host', usernsMode: 'host' } as const
const MODES: readonly (readonly [string, Partial<HostConfig>])[] = [
  ['by default', {}],
  ['on the host’s network', { networkMode: 'host' }],
  ['with the host’s ids and network', HOSTS],
]
const READS = ['/real/key-users', '/real/zoneinfo', '/real/swaps', '/real/sys/fs/file-nr']
const WRITES = ['/real/sysrq-trigger', '/real/sys/kernel/core_pattern', '/real/sys/kernel/modprobe']
const SYSTEM = ['/real/module', '/real/kernel/slab', '/real/class/block']

for (const [title, host] of MODES) {
  test(`a /proc that the image moves is closed like any other ${title}`, { skip }, async () => {
    const image = await imageWithMoved('proc', 'dev')
    assert.deepEqual(await open(image, host, READS), [])
    const written = await open(image, host, WRITES)
    assert.deepEqual(
      written.filter((line) => line.endsWith(' written')),
      [],
    )
    const bare = await open(image, { ...HOSTS, securityOpt: ['systempaths=unconfined'] }, [
      ...READS,
      ...WRITES,
    ])
    for (const path of READS)
      assert.ok(
        bare.some((line) => line.startsWith(path)),
        `${path} without covers`,
      )
    assert.ok(bare.includes('/real/sys/kernel/core_pattern written'), bare.join('\n'))
  })

  test(`a /sys that the image moves is closed like any other ${title}`, { skip }, async () => {
    const image = await imageWithMoved('sys', 'data')
    const covered = { ...host, tmpfs: { '/data': '' } }
    assert.deepEqual(await open(image, covered, SYSTEM), [])
    const bare = await open(image, { ...covered, securityOpt: ['systempaths=unconfined'] }, SYSTEM)
    assert.ok(bare.length > 1, bare.join('\n'))
  })
}
