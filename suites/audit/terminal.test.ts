/** The report on a real terminal, as tmux shows it: what people see, with and without colour, narrow and wide. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { exampleReport } from '../../src/audit/report/example-report.ts'
import { command } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const ROWS = 400
const COLOUR = new RegExp(`${String.fromCodePoint(27)}\\[[0-9;]*m`, 'g')

describe('the report on a terminal', { skip: missing('tmux', 'unshare'), concurrency: 1 }, () => {
  const scope = new Scope()
  let folder = ''

  before(async () => {
    folder = scope.use(await tempFolder('terminal')).path
    await writeFile(join(folder, 'report.json'), JSON.stringify(exampleReport()))
  })
  after(async () => scope[Symbol.asyncDispose]())

  /** Screens with their colours, from the first that shows anything to the one after the program ended. */
  async function screensOf(words: readonly string[], columns: number, env = ''): Promise<readonly string[]> {
    const socket = join(folder, `tmux-${columns}${env === '' ? '' : '-plain'}-${words.length}`)
    const tmux = (...more: readonly string[]) => command(['tmux', '-S', socket, '-f', '/dev/null', ...more])
    const line = `${env} TERM=screen-256color ${[DEWAR, ...words].join(' ')}; echo ended $?; exec sleep 600`
    const size = ['-x', String(columns), '-y', String(ROWS)]
    await command(['tmux', '-S', socket, '-f', '/dev/null', 'new-session', '-d', ...size, line], {
      env: { LC_ALL: 'C.UTF-8', NO_COLOR: undefined },
      check: true,
    })
    const screens: string[] = []
    try {
      await until(
        'the program in the terminal to end',
        async () => {
          const { stdout } = await tmux('capture-pane', '-p', '-e')
          if (stdout.trim() !== '' && stdout !== screens.at(-1)) screens.push(stdout)
          return /^ended \d/m.test(stdout.replaceAll(COLOUR, ''))
        },
        90_000,
        60,
      )
    } finally {
      await tmux('kill-server')
    }
    return screens
  }

  async function shownAt(columns: number, env = ''): Promise<{ plain: string; coloured: string }> {
    const coloured =
      (await screensOf(['audit', 'show', join(folder, 'report.json')], columns, env)).at(-1) ?? ''
    const plain = coloured.replaceAll(COLOUR, '').replace(/\nended 0\n[\s\S]*/, '\n')
    return {
      plain: plain
        .split('\n')
        .map((line) => line.trimEnd())
        .join('\n'),
      coloured,
    }
  }

  test('at 80 columns it is what a pipe gets, in colour', async () => {
    const { plain, coloured } = await shownAt(80)
    const { stdout } = await command([DEWAR, 'audit', 'show', join(folder, 'report.json')])
    assert.equal(plain, stdout)
    assert.ok(coloured.includes('\u001b[31m✗'), 'leaks are red')
  })

  test('at 200 columns lines are longer, and not too long to read', async () => {
    const { plain } = await shownAt(200)
    const longest = Math.max(...plain.split('\n').map((line) => [...line].length))
    assert.ok(longest > 80 && longest <= 120, `${longest} columns`)
    assert.match(plain, /^Leaks, the worst first$/m)
  })

  test('with NO_COLOR there is no colour, and nothing less is said', async () => {
    const [coloured, plain] = [await shownAt(80), await shownAt(80, 'NO_COLOR=1')]
    assert.equal(plain.plain, coloured.plain)
    assert.deepEqual(plain.coloured.match(COLOUR), null)
  })

  test('while an audit runs one line tells how far it is, and is gone in the end', async () => {
    const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
    const own = { folder: join(folder, 'dewar'), network, bridge: 'dwtd4', subnet: '172.26.4.0/24' }
    const { socket } = scope.use(await startEngine(own))
    const words = ['audit', '--probe', 'O01,O05,I21,A02', `dewar=${socket}`, 'podman=/nowhere/p.sock']
    const screens = (await screensOf(words, 80)).map((screen) => screen.replaceAll(COLOUR, ''))
    const last = screens.at(-1) ?? ''
    assert.match(last, /^Audit of dewar: 4 probes on each, about \d+ seconds\.$/m)
    assert.match(last, /^podman is not here: /m)
    const progress = /^dewar \d\/4 ✗ \d \? \d ✓ \d {2}(\w+ .*)?$/m
    assert.ok(
      screens.some((screen) => progress.test(screen)),
      'seen while it ran',
    )
    assert.doesNotMatch(last, progress)
    assert.match(last, /^dewar 0\.1\.0 \(namespaces\): /m)
    for (const screen of screens) assert.doesNotMatch(screen, /^ {2}(LEAK|CONTAINED) +\w\d\d/m)
  })
})
