/** How layers are stacked on kernels before 6.15, carried out on this one: by paths, of which fsconfig(2) takes 255 bytes. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { treeSteps } from '../../src/isolation/namespaces/rootfs.ts'
import { Slots } from '../../src/isolation/namespaces/slots.ts'
import { startCore } from '../../src/kernel/core.ts'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const skip = missing('umount') || (process.getuid?.() === 0 ? false : 'needs root')

/** A run folder as long as a container's own. */
async function folders(root: string, layers: number) {
  const names = Array.from({ length: layers }, (_, i) => join(root, 'layers', 'x'.repeat(64), String(i)))
  const [upper, work, merged, scratch] = ['upper', 'work', 'merged', `run/c/${'0'.repeat(24)}`].map((name) =>
    join(root, name),
  ) as [string, string, string, string]
  for (const path of [...names, upper, work, merged, scratch]) await mkdir(path, { recursive: true })
  for (const [i, path] of names.entries()) await writeFile(join(path, `file${i}`), '')
  return { rootfs: { lower: names, upper, work }, merged, scratch }
}

for (const layers of [1, 7, 97])
  test(`treeSteps stacks ${layers} layers by path, and leaves no mount behind`, { skip }, async () => {
    await using folder = await tempFolder('layers')
    await using core = await startCore({ runDir: folder.path })
    const { rootfs, merged, scratch } = await folders(folder.path, layers)
    const { steps, slot } = treeSteps(
      {
        ...{ lower: rootfs.lower, writable: rootfs },
        ...{ scratch, userns: undefined, overlayByFd: false, workingDirectory: '/', attrs: 0 },
      },
      new Slots(),
    )
    await core.run({
      steps: [
        ...steps.map((step) => ({ ...step, actor: 'host' as const })),
        { actor: 'host', op: 'attach-mount', path: merged, slot, create: false },
      ],
    })
    try {
      assert.equal((await readdir(merged)).length, layers)
      await writeFile(join(merged, 'written'), '')
      assert.ok(existsSync(join(rootfs.upper, 'written')))
    } finally {
      // Who mounted it holds a descriptor of it until its process has ended, just after its answer.
      await until('umount', async () => (await command(['umount', merged])).code === 0)
    }
    assert.deepEqual(await readdir(scratch), [])
  })

test('treeSteps says so when an old kernel cannot take all layers', () => {
  const lower = Array.from({ length: 98 }, (_, i) => `/layers/${i}`)
  const writable = { upper: '/u', work: '/w' }
  const steps = (overlayByFd: boolean) =>
    treeSteps(
      { lower, writable, scratch: '/s', userns: 0, overlayByFd, workingDirectory: '/', attrs: 0 },
      new Slots(1),
    ).steps
  assert.throws(() => steps(false), /98 layers, too many for this kernel \(Linux 6\.15/)
  assert.ok(steps(true).length > 98)
})
