/** `dewar compare` on our engine and a real dockerd, beside an audit of both: the table, the figures, the page. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { command, describe as told } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR } from '../harness/project.ts'
import { findProgram, missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'
import { FAINT_TEXTS } from './faint-texts.ts'
import { ownLeftovers } from './own-leftovers.ts'

interface Comparison {
  readonly rounds: number
  readonly targets: readonly { readonly name: string; readonly missing?: { readonly remedy: string } }[]
  readonly costs: readonly {
    readonly target: string
    readonly workload: string
    readonly values: readonly number[]
    readonly missing?: string
  }[]
  readonly leftovers: readonly string[]
}

const PARTS = ['start', 'exec', 'CPU', 'system call', 'memory', 'file', 'network']
const ROUNDS = 2

describe('dewar compare', { skip: missing('dockerd', 'busybox', 'unshare'), concurrency: 1 }, () => {
  const scope = new Scope()
  const servers: Server[] = []
  let folder = ''
  let words: readonly string[] = []

  before(async () => {
    folder = scope.use(await tempFolder('compare')).path
    const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
    const [own, theirs] = [join(folder, 'dewar'), join(folder, 'dockerd')]
    const dewar = scope.use(
      await startEngine({ folder: own, network, bridge: 'dwtd5', subnet: '172.26.5.0/24' }),
    )
    const dockerd = scope.use(await startDockerd({ folder: theirs, network }))
    servers.push(dewar, dockerd)
    words = [`dewar=${dewar.socket}`, `docker=${dockerd.socket}`]
    const audited = await command([DEWAR, 'audit', '--json', '--probe', 'O05,I21,I22,A31', ...words], {
      timeout: 600_000,
      check: true,
    })
    await command(['tee', join(folder, 'audit.json')], { input: audited.stdout, check: true })
  })
  after(async () => scope[Symbol.asyncDispose]())

  const compare = (...more: readonly string[]) =>
    command([DEWAR, 'compare', '--rounds', String(ROUNDS), '--report', join(folder, 'audit.json'), ...more], {
      timeout: 600_000,
    })
  const ours = (leftovers: readonly string[]): string[] =>
    ownLeftovers(leftovers, ...servers.map(({ socket }) => socket))
  const assertNothingLeft = async (): Promise<void> => {
    for (const server of servers) {
      const containers = await server.api('GET', '/containers/json?all=1')
      const images = await server.api('GET', '/images/json')
      assert.doesNotMatch(containers.text + images.text, /dewar-audit-/, server.name)
    }
  }

  test('compare measures every part on both, and gives the figures as JSON', async () => {
    const result = await compare(
      '--json',
      '--html',
      join(folder, 'compare.html'),
      ...words,
      'podman=/nowhere/p.sock',
    )
    assert.equal(result.code, 0, told(['dewar compare'], result))
    // Its own shape.
    const comparison = JSON.parse(result.stdout) as Comparison
    assert.deepEqual(
      comparison.targets.map(({ name }) => name),
      ['dewar', 'docker', 'podman'],
    )
    assert.match(comparison.targets[2]?.missing?.remedy ?? '', /name its socket/)
    assert.match(result.stderr, /^podman is not here: .*\n(.*\n)*round 1 of 2$/m, 'said before it measures')
    assert.deepEqual(ours(comparison.leftovers), [])
    for (const target of ['dewar', 'docker'])
      for (const part of PARTS) {
        const cost = comparison.costs.find((one) => one.target === target && one.workload === part)
        assert.equal(cost?.missing, undefined, `${part} on ${target}`)
        assert.equal(cost?.values.length, ROUNDS, `${part} on ${target}`)
        assert.ok(
          cost.values.every((value) => value > 0 && value < 60_000),
          `${part} on ${target}: ${cost.values.join()}`,
        )
      }
    await assertNothingLeft()
  })

  test('compare shows cost beside gain in a table of 80 columns', async () => {
    const result = await compare(...words)
    assert.equal(result.code, 0, told(['dewar compare'], result))
    const lines = ours(result.stdout.split('\n'))
    assert.deepEqual(
      lines.filter((line) => [...line].length > 80),
      [],
    )
    const [head = '', , dewar = '', docker = ''] = [lines[0], lines[1], lines[2], lines[3]]
    assert.equal(head, 'What each wall costs')
    // All seven parts, of the first in units, of the others in times.
    assert.match(dewar, /^dewar( +[\d.]+ (s|ms|µs|ns)){7}$/)
    assert.match(docker, /^docker( +≈?[\d.]+×){7}$/)
    // dewar keeps root inside from being root outside; dockerd as it comes does not (I21, I22).
    assert.match(result.stdout, /^dewar +1 of 1 +0 of 2 +0 of 1 +1 of 4$/m)
    assert.match(result.stdout, /^docker +1 of 1 +2 of 2 +0 of 1 +3 of 4$/m)
    assert.match(result.stdout, /^Fewest leaks: dewar, 1 of 4 questions\.$/m)
  })

  test('compare refuses before it starts what it could not do in the end', async () => {
    for (const [more, message] of [
      [['nosuch'], /there is no such target \(use dewar, docker/],
      [['--rounds', '0'], /--rounds must be at least 1/],
      [['--html', '/nowhere/page.html'], /writing \/nowhere\/page.html failed: ENOENT.*make the folder/],
    ] as const) {
      const { code, stderr, ms } = await compare(...more)
      assert.equal(code, 2, stderr)
      assert.match(stderr, message)
      assert.ok(!/round 1/.test(stderr), `${ms} ms`)
    }
  })

  test('compare that is interrupted cleans up and says so by its exit code', async () => {
    const child = spawn(DEWAR, ['compare', ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await until('the first round', () => said.includes('round 1 of'), 300_000)
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    await assertNothingLeft()
  })

  test('compare that nobody can be measured by ends with 2', async () => {
    const { code, stdout } = await compare('docker=/nowhere/d.sock')
    assert.equal(code, 2)
    assert.match(stdout, /docker: not measured: .*name its socket/s)
  })

  const program = findProgram('chromium')
  const skip = program === undefined ? 'needs chromium: install it (npm test does where apt is there)' : false

  test(
    'the page of compare says it at once, in light and dark, on a desk and on a phone',
    { skip },
    async () => {
      const address = pathToFileURL(join(folder, 'compare.html')).href
      assert.doesNotMatch(
        await readFile(join(folder, 'compare.html'), 'utf8'),
        /\/\/[a-z]+\.[a-z]+\/.*\.(js|css)/,
      )
      const browser = await chromium.launch({ executablePath: program ?? '', args: ['--no-sandbox'] })
      try {
        for (const colorScheme of ['light', 'dark'] as const)
          for (const width of [1280, 390]) {
            const page = await browser.newPage({ colorScheme, viewport: { width, height: 844 } })
            const troubles: string[] = []
            page.on('console', (message) => troubles.push(message.text()))
            page.on('pageerror', (error) => troubles.push(error.message))
            page.on('request', (request) => {
              if (request.url() !== address) troubles.push(`asks for ${request.url()}`)
            })
            await page.goto(address)
            assert.match(await page.locator('.lead').innerText(), /^Fewest leaks: dewar, 1 of 4 questions\./)
            const rows = page
              .getByRole('list', { name: 'Cost and gain of each target' })
              .getByRole('listitem')
            assert.equal(await rows.count(), 2)
            assert.match(await rows.nth(1).innerText(), /docker.*start.*work inside.*×.*leaks.*3 of 4/s)
            // Longer where there are more: the reader compares bars, not numbers.
            const bars = await page.evaluate<number[]>(
              "[...document.querySelectorAll('.gain-row')].map((row) => [...row.querySelectorAll('.meter:last-child [class^=leak-]')].reduce((sum, one) => sum + one.getBoundingClientRect().width, 0))",
            )
            assert.ok((bars[0] ?? 0) > 0 && (bars[1] ?? 0) > 2 * (bars[0] ?? 0), String(bars))
            assert.equal(await page.locator('.chart').count(), PARTS.length)
            assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= width)
            assert.deepEqual(await page.evaluate<string[]>(FAINT_TEXTS), [])
            assert.match(await page.locator('main').innerText(), /podman: .*name its socket/)
            assert.deepEqual(troubles, [])
            await page.close()
          }
      } finally {
        await browser.close()
      }
    },
  )
})
