/** Two clients at once: whoever comes second is refused, or finds what the first one left whole. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ApiAnswer } from '../harness/call-api.ts'
import { expectStatus, field, inspect, skip, startLive, type Live } from './live.ts'

let live: Live

const api = (method: string, path: string, body?: object) => live.server.api(method, path, body)
const post = (path: string, body?: object) => api('POST', path, body)
const made = (HostConfig: object, name = ''): Promise<ApiAnswer> =>
  post(`/containers/create${name === '' ? '' : `?name=${name}`}`, {
    Image: 'busybox',
    Cmd: ['sleep', '999'],
    HostConfig: { NetworkMode: 'none', ...HostConfig },
  })
const ROUNDS = 12

describe('races', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('races')
  })
  after(async () => live[Symbol.asyncDispose]())

  test('a volume is not removed while a container is being made with it', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await post('/volumes/create', { Name: 'raced' })
      const creating = made({ Binds: ['raced:/v'] })
      const removing = [1, 2, 3].map(() => api('DELETE', '/volumes/raced'))
      const pruning = post('/volumes/prune?filters={"all":["1"]}')
      const id = field(await creating, 201, 'Id')
      for (const { status } of await Promise.all(removing)) assert.ok([204, 404, 409].includes(status))
      expectStatus(await pruning, 200)
      expectStatus(await post(`/containers/${id}/start`), 204)
      expectStatus(await api('GET', '/volumes/raced'), 200)
      expectStatus(await api('DELETE', `/containers/${id}?force=1`), 204)
    }
    expectStatus(await api('DELETE', '/volumes/raced'), 204)
  })

  test('a create that fails gives its volume back', async () => {
    const refused = await made({
      Binds: ['given:/v'],
      Mounts: [{ Type: 'image', Source: 'nosuch', Target: '/i' }],
    })
    assert.equal(refused.status, 404)
    expectStatus(await api('DELETE', '/volumes/given'), 204)
  })

  test('a network is not removed from under a container that starts on it or is connected to it', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const network = field(await post('/networks/create', { Name: 'raced' }), 201, 'Id')
      const id = field(await made({ NetworkMode: 'raced' }), 201, 'Id')
      const other = field(await made({ NetworkMode: 'bridge' }), 201, 'Id')
      expectStatus(await post(`/containers/${other}/start`), 204)
      const [started, connected, removed, pruned] = await Promise.all([
        post(`/containers/${id}/start`),
        post('/networks/raced/connect', { Container: other }),
        round % 2 === 0 ? api('DELETE', '/networks/raced') : undefined,
        round % 2 === 1 ? post('/networks/prune') : undefined,
      ])
      const there = (await api('GET', `/networks/${network}`)).status === 200
      const told = [started, connected, removed, pruned].map((answer) => answer?.text ?? '').join('\n')
      for (const [container, answer] of [
        [id, started],
        [other, connected],
      ] as const) {
        const { NetworkSettings, State } = await inspect(live.server, container)
        const place = Reflect.get(
          Object(Reflect.get(Object(NetworkSettings), 'Networks')),
          'raced',
        ) as unknown
        const runs = Reflect.get(Object(State), 'Running') === true
        const isOn = runs && Reflect.get(Object(place), 'NetworkID') === network
        assert.equal(isOn, answer.status < 300, told)
        assert.ok(!isOn || there, `on a network that is gone\n${told}`)
        assert.ok([200, 204, 404].includes(answer.status), told)
      }
      for (const one of [id, other]) expectStatus(await api('DELETE', `/containers/${one}?force=1`), 204)
      await api('DELETE', '/networks/raced')
    }
  })

  test('a container that ends or goes while something is done with it is the reason, not the step that missed it', async () => {
    const archive = (id: string) => `/containers/${id}/archive?path=/tmp`
    const works: readonly ((id: string) => Promise<ApiAnswer>)[] = [
      (id) => post(`/containers/${id}/pause`),
      (id) => post(`/containers/${id}/update`, { Memory: 2 ** 26, MemorySwap: 2 ** 26 }),
      (id) => post(`/commit?container=${id}`),
      (id) => api('GET', archive(id)),
      (id) => api('GET', `/containers/${id}/export`),
      async (id) => {
        const exec = await post(`/containers/${id}/exec`, { Cmd: ['true'] })
        return exec.status === 201 ? post(`/exec/${field(exec, 201, 'Id')}/start`, { Detach: true }) : exec
      },
    ]
    const ends: readonly ((id: string) => Promise<ApiAnswer>)[] = [
      (id) => post(`/containers/${id}/kill`),
      (id) => api('DELETE', `/containers/${id}?force=1`),
    ]
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const work of works) {
        const id = field(await made({}), 201, 'Id')
        expectStatus(await post(`/containers/${id}/start`), 204)
        const end = ends[round % ends.length]?.(id)
        const answers = await Promise.all([end, work(id), work(id)])
        for (const answer of answers) assert.ok((answer?.status ?? 500) < 500, answer?.text)
        await api('DELETE', `/containers/${id}?force=1`)
      }
    }
  })

  test('a container that is paused while it is killed dies all the same', async () => {
    for (let round = 0; round < 5 * ROUNDS; round += 1) {
      const id = field(await made({}), 201, 'Id')
      expectStatus(await post(`/containers/${id}/start`), 204)
      const pausing = post(`/containers/${id}/pause`)
      const kill = post(`/containers/${id}/kill`)
      const late = new Promise<undefined>(
        (resolve) => void setTimeout(() => resolve(undefined), 20_000).unref(),
      )
      const killed = await Promise.race([kill, late])
      if (killed === undefined) await post(`/containers/${id}/unpause`)
      assert.equal(killed?.status, 204, killed === undefined ? `round ${round}: no answer` : killed.text)
      assert.ok([204, 409].includes((await pausing).status), (await pausing).text)
      expectStatus(await api('DELETE', `/containers/${id}`), 204)
    }
  })

  test('copies of a container that does not run get in the way neither of each other nor of its start', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = field(await made({}), 201, 'Id')
      const copies = (path: string) =>
        [1, 2, 3, 4].map(() => api('GET', `/containers/${id}/archive?path=${path}`))
      for (const answer of await Promise.all(copies('/bin/sh'))) expectStatus(answer, 200)
      const [started, ...copied] = await Promise.all([post(`/containers/${id}/start`), ...copies('/etc')])
      expectStatus(started, 204)
      for (const answer of copied) expectStatus(answer, 200)
      // Nor can it write less for them.
      const exec = { Cmd: ['sh', '-c', 'echo x >> /etc/passwd'], AttachStderr: true }
      const writer = field(await post(`/containers/${id}/exec`, exec), 201, 'Id')
      expectStatus(await post(`/exec/${writer}/start`, {}), 200)
      assert.equal(field(await api('GET', `/exec/${writer}/json`), 200, 'ExitCode'), '0')
      expectStatus(await api('DELETE', `/containers/${id}?force=1`), 204)
    }
  })

  test('an exec without a terminal takes a new size for done, as its container does', async () => {
    const id = field(await made({}), 201, 'Id')
    expectStatus(await post(`/containers/${id}/start`), 204)
    const exec = field(await post(`/containers/${id}/exec`, { Cmd: ['sleep', '9'] }), 201, 'Id')
    expectStatus(await post(`/exec/${exec}/start`, { Detach: true }), 200)
    expectStatus(await post(`/exec/${exec}/resize?h=2&w=3`), 200)
    await api('DELETE', `/containers/${id}?force=1`)
  })

  test('of five that want one name one has it, and a name is free when its container is gone', async () => {
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => made({}, 'wanted')))
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [201, 409, 409, 409, 409],
    )
    const [removed, renamed] = await Promise.all([
      api('DELETE', '/containers/wanted'),
      post('/containers/wanted/rename?name=other'),
    ])
    // On two connections either may come first, and then the other finds nothing under that name.
    const both = [removed.status, renamed.status]
    assert.ok(both.includes(204) && both.every((status) => [204, 404].includes(status)), both.join())
    const kept = await api('DELETE', '/containers/other?force=1')
    assert.equal(kept.status, removed.status === 204 ? 404 : 204, both.join())
    for (const name of ['wanted', 'other']) {
      expectStatus(await made({}, name), 201)
      expectStatus(await api('DELETE', `/containers/${name}`), 204)
    }
  })

  test('a network whose addresses nobody gives is not made', async () => {
    const answer = await post('/networks/create', { Name: 'x', IPAM: { Driver: 'nosuch' } })
    assert.match(field(answer, 404, 'message'), /^plugin "nosuch" not found/)
    const usual = await post('/networks/create', { Name: 'x', IPAM: { Driver: 'default' } })
    expectStatus(await api('DELETE', `/networks/${field(usual, 201, 'Id')}`), 204)
  })

  test('before API 1.30 there is one way to wait', async () => {
    const id = field(await made({}), 201, 'Id')
    expectStatus(await post(`/v1.29/containers/${id}/wait?condition=bogus`), 200)
    expectStatus(await post(`/v1.30/containers/${id}/wait?condition=bogus`), 400)
    await api('DELETE', `/containers/${id}`)
  })
})
