/** What is told of images: actions and attributes, labels of the image among them, as moby 28.5's source has them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { create, expectStatus, field, skip, startLive, type Live } from './live.ts'

interface Told {
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

let live: Live

describe('image events', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('image-events')
  })
  after(async () => live[Symbol.asyncDispose]())

  const told = async (work: () => Promise<unknown>, more: object = {}): Promise<Told[]> => {
    const since = (Date.now() / 1000).toFixed(6)
    await work()
    const filters = encodeURIComponent(JSON.stringify({ type: ['image'], ...more }))
    const until = (Date.now() / 1000).toFixed(6)
    const answer = await live.server.api('GET', `/events?since=${since}&until=${until}&filters=${filters}`)
    const lines = expectStatus(answer, 200).text.trim().split('\n').filter(Boolean)
    return lines.map((line) => JSON.parse(line) as Told)
  }
  const actions = (events: readonly Told[]): string[] => events.map(({ Action }) => Action)
  const build = (tag: readonly string[], input: string) =>
    live.server.run(['docker', 'build', '--network', 'none', ...tag, '-'], {
      env: { DOCKER_BUILDKIT: '0' },
      input,
      check: true,
    })

  test('a build tells of its image, tagged or not, new or not', async () => {
    const dockerfile = 'FROM busybox\nLABEL of=build\n'
    const untagged = await told(() => build([], dockerfile))
    assert.deepEqual(actions(untagged), ['create'])
    const [{ Actor } = { Actor: undefined }] = untagged
    assert.deepEqual(Actor?.Attributes, { of: 'build', name: Actor?.ID })
    const tagged = await told(() => build(['-t', 'built'], dockerfile), { label: ['of=build'] })
    assert.deepEqual(actions(tagged), ['create', 'tag'])
    assert.deepEqual(
      tagged.map(({ Actor: { Attributes } }) => Attributes['name']),
      [Actor?.ID, 'built:latest'],
    )
  })

  test('a commit tells of its image before its name; an import of itself', async () => {
    const container = await create(live.server, { Labels: { kept: 'yes' } })
    const committed = await told(() => live.server.docker('commit', container, 'committed'))
    assert.deepEqual(actions(committed), ['create', 'tag'])
    assert.equal(committed[0]?.Actor.Attributes['kept'], 'yes')
    const script = 'docker export $0 | docker import -c "LABEL a=b" - imported'
    const imported = await told(() => live.server.run(['sh', '-c', script, container], { check: true }))
    assert.deepEqual(actions(imported), ['tag', 'import'])
    assert.equal(imported[1]?.Actor.Attributes['a'], 'b')
  })

  test('a prune tells what it freed, after what it removed', async () => {
    await build(['-t', 'doomed'], 'FROM busybox\nLABEL doomed=yes\n')
    const id = field(await live.server.api('GET', '/images/doomed/json'), 200, 'Id')
    await build(['-t', 'doomed'], 'FROM busybox\nLABEL doomed=no\n')
    const events = await told(() => live.server.docker('image', 'prune', '-f', '--filter', 'label=doomed'))
    assert.deepEqual(actions(events), ['delete', 'prune'])
    assert.deepEqual(events[0]?.Actor, { ID: id, Attributes: { name: id } })
    assert.match(events[1]?.Actor.Attributes['reclaimed'] ?? '', /^\d+$/)
    assert.equal(events[1]?.Actor.ID, '')
  })
})
