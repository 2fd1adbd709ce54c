/**
 * Targets of which a probe once said CONTAINED although the thing was open, or proved nothing: a control that held for a
 * wrong reason, a refusal that nobody had asked for, a way that was not looked at.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openGuest } from '../../src/audit/guest.ts'
import { openJournal } from '../../src/audit/journal.ts'
import { PROBES } from '../../src/audit/probes/index.ts'
import { judge } from '../../src/audit/run.ts'
import type { Target } from '../../src/audit/target.ts'
import { dockerTarget } from '../../src/audit/targets/docker-api.ts'
import type { Result } from '../../src/audit/types.ts'
import { runArgumentsBody, splitWords } from '../../src/cli/run-arguments.ts'
import { connect } from '../../src/client/connect.ts'
import { command } from '../harness/command.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startSide } from '../harness/start-side.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import * as weak from './weak-targets.ts'

const needs = missing('dockerd', 'docker', 'docker-registry', 'skopeo', 'busybox', 'runc', 'ip')
const program = join(PROJECT, 'native/build/dewar-probe')

const told = ({ verdict, reason, evidence }: Result): string =>
  `${verdict}: ${reason} ${evidence.map(({ text }) => text).join(' | ')}`

describe(
  'no probe says CONTAINED of what is open, or of what it did not ask',
  { skip: needs, concurrency: 1 },
  () => {
    const scope = new Scope()
    const servers = new Map<string, Server>()
    let shop: weak.Workshop
    let [folder, memory] = ['', '']

    before(async () => {
      folder = scope.use(await tempFolder('hostile')).path
      memory = join(folder, 'memory')
      await command(['mkdir', memory], { check: true })
      await command(['mount', '-t', 'tmpfs', '-o', 'mode=711', 'tmpfs', memory], { check: true })
      scope.defer(() => command(['umount', memory]))
      shop = {
        journal: openJournal('hostile', join(folder, 'journal')),
        program: readFileSync(program),
        scope,
      }
      for (const kind of ['dewar', 'dockerd'] as const)
        servers.set(kind, (await startSide(kind, scope)).server)
    })
    after(async () => scope[Symbol.asyncDispose]())

    const serverOf = (kind: string): Server => {
      const server = servers.get(kind)
      assert.ok(server)
      return server
    }

    async function targetOf(kind: 'dewar' | 'dockerd', words = '', journal = shop.journal): Promise<Target> {
      const { socket } = serverOf(kind)
      const runArguments = splitWords(words)
      return dockerTarget({
        ...{ client: await connect({ socket }), socket, name: kind, level: '', runArguments, journal },
        ...{ runBody: runArgumentsBody(runArguments), kind: kind === 'dewar' ? 'dewar' : 'docker' },
        program: shop.program,
      })
    }

    async function verdictOf(target: Target, id: string, journal = shop.journal): Promise<Result> {
      await using own = target
      const probes = PROBES.filter((probe) => probe.id === id)
      const options = {
        probes,
        onEvent: () => undefined,
        signal: AbortSignal.timeout(300_000),
        limit: 280_000,
      }
      const [result] = await judge({ target: own, journal, program, load: true, openGuest }, options)
      assert.ok(result)
      return result
    }

    for (const kind of ['dewar', 'dockerd'] as const)
      test(`I41: on an internal network of ${kind} the host is reached at its own addresses`, async () => {
        const name = `inner-${kind}`
        await serverOf(kind).api('POST', '/networks/create', { Name: name, Driver: 'bridge', Internal: true })
        const result = await verdictOf(await targetOf(kind, `--network ${name}`), 'I41')
        await serverOf(kind).api('DELETE', `/networks/${name}`)
        assert.equal(result.verdict, 'LEAK', told(result))
      })

    test('I41: a firewall that closes the gateway’s address leaves the others', async () => {
      const { network } = serverOf('dockerd')
      const rules = ['iptables', '-I', 'INPUT', '-i', 'docker0', '-d', '172.17.0.1', '-j', 'REJECT']
      for (const words of [rules, ['ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'docker0']])
        await command([...network.enter, ...words], { check: true })
      const result = await verdictOf(await targetOf('dockerd'), 'I41')
      await command([...network.enter, 'iptables', '-D', ...rules.slice(2)], { check: true })
      await command([...network.enter, 'ip', 'addr', 'del', '192.0.2.1/24', 'dev', 'docker0'], {
        check: true,
      })
      assert.equal(result.verdict, 'LEAK', told(result))
      assert.match(told(result), /192\.0\.2\.1/)
    })

    /** Takes connections, and answers a request after so many ms, or never. */
    async function slowEngine(name: string, milliseconds: number | undefined): Promise<string> {
      const path = join(folder, name)
      const open = new Set<Socket>()
      const server = createServer((socket) => {
        open.add(socket.on('error', () => undefined))
        const answer = (): void => void socket.end('HTTP/1.0 200 OK\r\nApi-Version: 1.43\r\n\r\nOK')
        if (milliseconds !== undefined) socket.once('data', () => setTimeout(answer, milliseconds))
      }).listen(path)
      await once(server, 'listening')
      chmodSync(path, 0o666)
      scope.defer(async () => {
        for (const socket of open) socket.destroy()
        server.close()
      })
      return `-v ${path}:/run/slow.sock`
    }

    test('I34: an engine that answers late is one', async () => {
      const result = await verdictOf(await targetOf('dewar', await slowEngine('late.sock', 4000)), 'I34')
      assert.equal(result.verdict, 'LEAK', told(result))
    })

    test('I34: what takes a connection and says nothing has refused nothing', async () => {
      const result = await verdictOf(await targetOf('dewar', await slowEngine('mute.sock', undefined)), 'I34')
      assert.equal(result.verdict, 'INCONCLUSIVE', told(result))
      assert.match(result.reason, /silent: \/run\/slow\.sock/)
    })

    test('I34: an engine on another address of the host than the gateway’s is reached', async () => {
      const { network } = serverOf('dockerd')
      await command([...network.enter, 'ip', 'addr', 'add', '192.0.2.9/24', 'dev', 'docker0'], {
        check: true,
      })
      const serve = `require('node:http').createServer((_, answer) => answer.end('{"Version":"1"}'))
        .listen(2375, '192.0.2.9', () => console.log('listening'))`
      const words = [...network.enter, process.execPath, '-e', serve]
      const engine = spawn('env', words, { stdio: ['ignore', 'pipe', 'inherit'] })
      scope.defer(async () => void engine.kill('SIGKILL'))
      await once(engine.stdout, 'data')
      const result = await verdictOf(await targetOf('dockerd'), 'I34')
      engine.kill('SIGKILL')
      await command([...network.enter, 'ip', 'addr', 'del', '192.0.2.9/24', 'dev', 'docker0'], {
        check: true,
      })
      assert.equal(result.verdict, 'LEAK', told(result))
      assert.match(told(result), /192\.0\.2\.9:2375/)
    })

    test('I60: a folder that is writable after all is told from one that merely belongs to somebody else', async () => {
      const target = await weak.withoutReadOnly(shop, { user: '1000:1000' })
      const result = await verdictOf(target, 'I60')
      assert.equal(result.verdict, 'LEAK', told(result))
    })

    test('I35: a socket that a runtime leaves open is seen, not only a file', async () => {
      const result = await verdictOf(await weak.withOpenSocket(shop), 'I35')
      assert.equal(result.verdict, 'LEAK', told(result))
      assert.match(told(result), /socket:/)
    })

    test('I37: images that could not even be loaded prove nothing', async () => {
      const result = await verdictOf(weak.thatLoadsNothing(await targetOf('dewar')), 'I37')
      assert.equal(result.verdict, 'INCONCLUSIVE', told(result))
      assert.match(result.reason, /loaded the same way, is refused when loaded/)
    })

    test('I40: paths that could not be exchanged prove nothing of races', async () => {
      const path = join(folder, 'no-exchange.json')
      const syscalls = [{ names: ['renameat2'], action: 'SCMP_ACT_ERRNO' }]
      writeFileSync(path, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }))
      const result = await verdictOf(await targetOf('dewar', `--security-opt seccomp=${path}`), 'I40')
      assert.equal(result.verdict, 'INCONCLUSIVE', told(result))
      assert.match(result.reason, /exchanged .*EPERM/)
    })

    test('I40: copies that never go in prove nothing of copying in', async () => {
      const result = await verdictOf(weak.thatCopiesNothingIn(await targetOf('dewar')), 'I40')
      assert.equal(result.verdict, 'INCONCLUSIVE', told(result))
      assert.match(result.reason, /and 0 in worked/)
    })

    test('I30: a handle is tried through a mount of its own file system', async () => {
      // The engine's files lie elsewhere: through its mounts no handle of this one opens.
      const journal = openJournal('handles', join(memory, 'journal'))
      const target = await targetOf('dockerd', '--cap-add=DAC_READ_SEARCH', journal)
      const result = await verdictOf(target, 'I30', journal)
      journal.close()
      assert.equal(result.verdict, 'LEAK', told(result))
      assert.match(told(result), /through \/audit-beside/)
    })

    test('O36: an image that the engine would not remove is no leftover of it', async () => {
      const result = await verdictOf(weak.thatKeepsImages(await targetOf('dewar')), 'O36')
      assert.equal(result.verdict, 'INCONCLUSIVE', told(result))
      assert.match(result.reason, /removed both images/)
    })

    test('O37: the host’s table of flows tells with whom a container speaks', async () => {
      const result = await verdictOf(await targetOf('dewar'), 'O37')
      assert.match(told(result), /nf_conntrack shows port \d+ and its peer/)
    })
  },
)
