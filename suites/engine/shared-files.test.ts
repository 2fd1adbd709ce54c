/** Files that more than one has a hand in: those of /etc in a shared network, and sources of mounts that come and go. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { tarOf } from '../harness/oci-layout.ts'
import { until } from '../harness/until.ts'
import { rigForAll, skip, text } from './fixture.ts'

const { rig } = rigForAll()

const remove = (id: string): Promise<void> =>
  rig().engine.containers.remove(id, { force: true, volumes: true, link: false })

/** Name and content of each member, in the archive's order. */
async function members(id: string, path: string): Promise<[string, string][]> {
  const { stream } = await rig().engine.containers.archiveGet(id, path)
  const tar = extract()
  stream.pipe(tar)
  const found: [string, string][] = []
  for await (const entry of tar) found.push([entry.header.name, await text(entry)])
  return found
}

const put = async (id: string, path: string, name: string): Promise<void> =>
  rig().engine.containers.archivePut(id, path, Readable.from([await tarOf([{ name, content: name }])]), {
    noOverwriteDirNonDir: false,
    copyUidGid: false,
  })

test('who is in another’s network has the other’s files of /etc, not copies', { skip }, async () => {
  const { engine } = rig()
  const owner = await rig().run(['sleep', '100'], { networkMode: 'bridge' })
  const member = await rig().run(['sleep', '100'], { networkMode: `container:${owner}` })
  // In the network of a member is in the network of its owner.
  const guest = await rig().run(['sleep', '100'], { networkMode: `container:${member}` })
  await rig().exec(owner, ['sh', '-c', 'echo 1.2.3.4 added >>/etc/hosts'])
  await rig().exec(guest, ['sh', '-c', 'echo 1.2.3.5 answered >>/etc/hosts'])
  for (const id of [owner, member, guest]) {
    const { output } = await rig().exec(id, ['cat', '/etc/hosts'])
    assert.match(output, /1\.2\.3\.4 added\n1\.2\.3\.5 answered\n/)
  }
  const paths = async (id: string) => (await engine.containers.inspect(id)).paths
  assert.deepEqual({ ...(await paths(guest)), log: '' }, { ...(await paths(owner)), log: '' })
  // The name server of a network that comes later is everybody's.
  const network = `dwtnames${process.pid}`
  await engine.networks.create({ name: network })
  await engine.networks.connect(network, owner, {})
  const { output } = await rig().exec(guest, ['cat', '/etc/resolv.conf'])
  assert.match(output, /nameserver 127\.0\.0\.11/)
  // A restart of the member writes nothing of its own there, and the owner may go.
  await engine.containers.restart(member, { timeout: 0 })
  assert.match((await rig().exec(owner, ['cat', '/etc/hosts'])).output, /answered/)
  await remove(owner)
  assert.match((await rig().exec(guest, ['cat', '/etc/hosts'])).output, /answered/)
  for (const id of [guest, member]) await remove(id)
  await engine.networks.remove(network)
})

test('a hosts file of gigabytes is nothing that the engine reads for who joins', { skip }, async () => {
  // Sparse: it costs the container nothing. More than the engine could hold, or write down again.
  const grow = 'dd if=/dev/zero of=/etc/hosts bs=1 count=1 seek=5000000000 2>/dev/null; sleep 100'
  const owner = await rig().run(['sh', '-c', grow], { networkMode: 'bridge' })
  const size = ['stat', '-c', '%s', '/etc/hosts']
  await until('the file', async () => (await rig().exec(owner, size)).output.trim() === '5000000001')
  const member = await rig().finish({ cmd: size }, { networkMode: `container:${owner}` })
  assert.deepEqual([member.code, member.output], [0, '5000000001\n'])
  for (const id of [member.id, owner]) await remove(id)
})

test('files of a container at rest are there, also when a source of a mount is not', { skip }, async () => {
  const top = mkdtempSync(join(tmpdir(), 'dwt-eng-source-'))
  const [later, gone, file] = [join(top, 'later'), join(top, 'gone'), join(top, 'file')]
  try {
    // What -v names is made by whoever needs it first, so that a copy lands where the container will find it.
    const fresh = await rig().create({ cmd: ['cat', '/x/early'] }, { binds: [`${later}:/x`] })
    assert.match((await members(fresh, '/etc/passwd'))[0]?.[1] ?? '', /^root:/)
    await put(fresh, '/x', 'early')
    assert.equal(readFileSync(join(later, 'early'), 'utf8'), 'early')
    mkdirSync(gone)
    writeFileSync(file, 'x')
    const { id } = await rig().finish(
      { cmd: ['sh', '-c', 'echo result >/log'] },
      { mounts: [{ type: 'bind', source: gone, target: '/s' }], binds: [`${file}:/etc/one`] },
    )
    rmSync(gone, { recursive: true })
    rmSync(file)
    assert.deepEqual(await members(id, '/log'), [['log', 'result\n']])
    await put(id, '/', 'new')
    assert.deepEqual(await members(id, '/new'), [['new', 'new']])
    assert.ok(!existsSync(gone))
    for (const work of [members(id, '/s/x'), put(id, '/s', 'lost'), members(id, '/etc/one')])
      await assert.rejects(
        work,
        /^DewarError: Copying \/\S+ failed: \S+, which is mounted there, does not exist/,
      )
    for (const one of [fresh, id]) await remove(one)
  } finally {
    rmSync(top, { recursive: true })
  }
})

test('the names in an archive of the root begin with one slash', { skip }, async () => {
  const id = await rig().create({ cmd: ['true'] })
  const names = (await members(id, '/')).map(([name]) => name)
  assert.ok(names.includes('/etc/passwd'), names.slice(0, 5).join(' '))
  assert.deepEqual(
    names.filter((name) => name.startsWith('//')),
    [],
  )
  await remove(id)
})
