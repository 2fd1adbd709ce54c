/**
 * What an audit may never do: touch what is not its own. Other people's containers run beside it, on our engine and on a
 * dockerd, and everything of theirs that can be looked at is the same afterwards; and however a run ends, the next one
 * finds and removes what it left.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { command, describe as told } from '../harness/command.ts'
import { networkNamespace, type NetworkNamespace } from '../harness/network-namespace.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const JOURNALS = '/var/tmp/dewar-audit'
/** Short, and of all kinds: files, processes, networks, neighbours, what stays after. */
const SOME = 'O01,O03,O05,O15,O31,O32,I21,I34,I41,I57,A02,A21,A28,A29,A31'

describe(
  'an audit beside other containers',
  { skip: missing('dockerd', 'docker', 'busybox', 'nft', 'ip') },
  () => {
    const scope = new Scope()
    let network: NetworkNamespace
    let folder = ''
    const servers: Server[] = []
    const words = (): string[] =>
      servers.map(({ name, socket }) => `${name === 'dewar' ? 'dewar' : 'docker'}=${socket}`)

    before(async () => {
      folder = scope.use(await tempFolder('beside')).path
      network = scope.use(await networkNamespace(join(folder, 'netns.log')))
      const own = { folder: join(folder, 'dewar'), network, bridge: 'dwtd7', subnet: '172.26.7.0/24' }
      const dewar = scope.use(await startEngine(own))
      // They would outlive their engine.
      scope.defer(() => removeAllContainers(dewar))
      servers.push(dewar)
      servers.push(scope.use(await startDockerd({ folder: join(folder, 'dockerd'), network })))
      for (const [index, server] of servers.entries()) await populate(server, 8100 + index)
    })
    after(async () => scope[Symbol.asyncDispose]())

    /** Somebody's machine: containers that run, that are stopped, a volume, a network, a published port. */
    async function populate(server: Server, port: number): Promise<void> {
      const rootfs = join(folder, `rootfs-${port}`)
      const script =
        'mkdir -p "$0/bin" "$0/data" && cp "$(command -v busybox)" "$0/bin/busybox" && for name in sh sleep nc echo; do ln -s busybox "$0/bin/$name"; done && tar -C "$0" -cf "$1" .'
      await command(['sh', '-c', script, rootfs, `${rootfs}.tar`], { check: true })
      await server.docker('import', `${rootfs}.tar`, 'theirs')
      await server.docker('volume', 'create', 'theirs-data')
      await server.docker('network', 'create', '--subnet', `172.26.${port - 8000}.0/24`, 'theirs-net')
      const run = (...more: readonly string[]) => server.docker('run', '-d', ...more)
      const answer = 'echo said >/data/said; while true; do echo hello | nc -l -p 80; done'
      await run('--name', 'web', '-p', `${port}:80`, '-v', 'theirs-data:/data', 'theirs', 'sh', '-c', answer)
      await run('--name', 'quiet', '--network', 'theirs-net', '-m', '64m', 'theirs', 'sleep', '3600')
      await server.docker('create', '--name', 'idle', 'theirs', 'sleep', '1')
    }

    async function stateOf(server: Server): Promise<Record<string, string>> {
      const ids = (await server.docker('ps', '-aq', '--no-trunc')).split('\n').sort()
      return {
        containers: await server.docker('inspect', ...ids),
        processes: await server.docker('top', 'web', '-eo', 'pid,lstart,args'),
        changes: await server.docker('diff', 'web'),
        said: await server.docker('logs', 'web'),
        images: await server.docker('images', '-aq', '--no-trunc'),
        volumes: await server.docker('volume', 'ls'),
        networks: await server.docker('network', 'inspect', 'bridge', 'theirs-net'),
        // Who does not speak sends nothing, and nobody else's answers reach him.
        sent: await sentBy(server, 'quiet'),
      }
    }

    async function sentBy(server: Server, name: string): Promise<string> {
      const pid = await server.docker('inspect', '--format', '{{.State.Pid}}', name)
      const { stdout } = await command([
        'nsenter',
        `--net=/proc/${pid}/ns/net`,
        'cat',
        '/proc/net/tcp',
        '/proc/net/arp',
      ])
      return stdout
    }

    /** Rules that name a bystander's port, with their counters; new ones of the audit may come and go beside them. */
    async function rules(): Promise<readonly string[]> {
      const { stdout } = await command([...network.enter, 'nft', 'list', 'ruleset'], { check: true })
      return stdout
        .split('\n')
        .filter((line) => /\b8100\b|\b8101\b/.test(line))
        .map((line) => line.trim())
    }

    async function eventsOf(server: Server, since: number): Promise<string> {
      const now = String(Date.now() / 1000)
      const filters = ['web', 'quiet', 'idle'].flatMap((name) => ['--filter', `container=${name}`])
      const text = await server.docker('events', '--since', String(since), '--until', now, ...filters)
      return text
        .split('\n')
        .filter((line) => !/ container (top|exec_)/.test(line))
        .join('\n')
    }

    /** What engines make for containers on the host, of these two engines only: others may run beside. */
    async function traces(): Promise<readonly string[]> {
      const lines = async (...argv: readonly string[]): Promise<string[]> =>
        (await command(argv)).stdout.split('\n').filter((line) => line !== '')
      const links = await lines(...network.enter, 'ip', '-o', 'link')
      const rules = await lines(...network.enter, 'nft', '--stateless', 'list', 'ruleset')
      const groups: string[] = []
      const mounts: string[] = []
      for (const server of servers) {
        const pid = await server.docker('inspect', '--format', '{{.State.Pid}}', 'web')
        const parent = dirname(
          /^\d+:[^:]*pids[^:]*:(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '',
        )
        assert.ok(parent.length > 1, `the group of ${server.name}'s containers`)
        groups.push(...(await lines('find', '/sys/fs/cgroup', '-type', 'd', '-path', `*${parent}/*`)))
        const table = readFileSync(`/proc/${server.process.pid}/mountinfo`, 'utf8').split('\n')
        mounts.push(
          ...table.map((line) => line.split(' ')[4] ?? '').filter((path) => path.startsWith(folder)),
        )
      }
      const names = links.map((line) => line.split(':')[1]?.trim() ?? '')
      return [...names, ...rules, ...groups, ...mounts].sort()
    }

    async function assertNothingOfOurs(): Promise<void> {
      for (const server of servers) {
        const kinds = ['/containers/json?all=1', '/images/json?all=1', '/networks', '/volumes']
        for (const path of kinds)
          assert.doesNotMatch(
            (await server.api('GET', path)).text,
            /dewar-audit-/,
            `${path} of ${server.name}`,
          )
      }
      // Audits of others may run beside: theirs name other sockets.
      const left = readdirSync(JOURNALS)
        .filter((name) => name.endsWith('.jsonl'))
        .filter((name) => readFileSync(join(JOURNALS, name), 'utf8').includes(folder))
      assert.deepEqual(left, [])
    }

    test('a whole audit changes nothing of theirs', { timeout: 900_000 }, async () => {
      const since = Date.now() / 1000
      await sleep(1100)
      const before = await Promise.all(servers.map(stateOf))
      const rulesBefore = await rules()
      assert.ok(rulesBefore.length >= 2, 'both ports are published by rules')
      const argv = [DEWAR, 'audit', '--json', ...words()]
      const result = await command(argv, { timeout: 840_000 })
      assert.equal(result.code, 0, told(argv, result).slice(0, 4000))
      const after = await Promise.all(servers.map(stateOf))
      for (const [index, server] of servers.entries()) {
        for (const [part, text] of Object.entries(before[index] ?? {}))
          assert.equal(after[index]?.[part], text, `${part} on ${server.name}`)
        const events = (await eventsOf(server, since)).split('\n').filter((line) => line !== '')
        assert.deepEqual(events, [], `events on ${server.name}`)
      }
      assert.deepEqual(await rules(), rulesBefore)
      for (const port of [8100, 8101]) {
        const said = await command([...network.enter, 'busybox', 'nc', '-w', '2', '127.0.0.1', String(port)])
        assert.match(said.stdout, /hello/, `port ${port} answers`)
      }
      await assertNothingOfOurs()
    })

    test('ten runs that end at any moment leave nothing after the next', { timeout: 600_000 }, async (t) => {
      const before = await traces()
      const bystanders = await Promise.all(servers.map(stateOf))
      for (let turn = 0; turn < 10; turn += 1) {
        // Anywhere between the first start of a container and the end; the turn decides, so that a failure comes again.
        const moment = 250 + ((turn * 7919) % 10) * 650
        const signal = turn % 2 === 0 ? 'SIGKILL' : 'SIGINT'
        const child = spawn(DEWAR, ['audit', '--json', '--probe', SOME, ...words()], { stdio: 'ignore' })
        const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
        await sleep(moment)
        child.kill(signal)
        const code = await ended
        t.diagnostic(`${signal} after ${moment} ms: ${code}`)
        // Before it listens for it, it dies of it; nothing is planted then.
        if (signal === 'SIGINT') assert.ok([130, 0, null].includes(code), `ended with ${code}`)
      }
      const argv = [DEWAR, 'audit', '--json', '--probe', 'O05', ...words()]
      const result = await command(argv, { timeout: 600_000 })
      assert.equal(result.code, 0, told(argv, result))
      await assertNothingOfOurs()
      // dockerd takes a group or a mount away some time after its container.
      const same = async () => isDeepStrictEqual(await traces(), before)
      await until('the traces to be as they were', same, 30_000).catch(() => undefined)
      assert.deepEqual(await traces(), before)
      assert.deepEqual(await Promise.all(servers.map(stateOf)), bystanders)
    })
  },
)
