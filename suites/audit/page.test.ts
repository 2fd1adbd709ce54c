/** The audit's page in a real browser: what a reader does with it, and that hostile evidence stays text. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { exampleReport } from '../../src/audit/report/example-report.ts'
import { renderHtml } from '../../src/audit/report/html.ts'
import type { Report } from '../../src/audit/types.ts'
import { findProgram } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { FAINT_TEXTS } from './faint-texts.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const program = findProgram('chromium')
const skip = program === undefined ? 'needs chromium: install it (npm test does where apt is there)' : false

const PAYLOADS = [
  '<img src=x onerror="window.owned=1">',
  '"><script>window.owned=1</script>',
  "' onmouseover='window.owned=1' x='",
  '</title></style></script><svg onload=window.owned=1>',
  'javascript:window.owned=1',
  '<!--',
  '\u202e\u001b[2J\u0000',
]

function hostileReport(): Report {
  const report = exampleReport()
  const text = PAYLOADS.join(' ')
  return {
    ...report,
    targets: report.targets.map((target) => ({ ...target, version: text, runArguments: [...PAYLOADS] })),
    probes: report.probes.map((probe) => ({ ...probe, remedy: text, asset: `${probe.asset}${text}` })),
    results: report.results.map((result) => ({
      ...result,
      reason: text,
      evidence: PAYLOADS.map((payload) => ({ kind: 'path' as const, text: payload })),
    })),
    discoveries: [{ target: text, path: text, kind: 'equal-value', sample: text, known: [] }],
    leftovers: [...PAYLOADS],
  }
}

describe('page', { skip, concurrency: 1 }, () => {
  const scope = new Scope()
  let browser: Browser
  let folder = ''

  before(async () => {
    folder = scope.use(await tempFolder('page')).path
    browser = await chromium.launch({ executablePath: program ?? '', args: ['--no-sandbox'] })
    scope.defer(() => browser.close())
  })
  after(async () => scope[Symbol.asyncDispose]())

  /** Opens a report; `troubles` fills with everything the browser complains of or asks the world for. */
  async function open(report: Report, options: Parameters<Browser['newPage']>[0] = {}) {
    const file = join(folder, 'page.html')
    await writeFile(file, renderHtml(report))
    const address = pathToFileURL(file).href
    const page = await browser.newPage(options)
    const troubles: string[] = []
    page.on('console', (message) => troubles.push(message.text()))
    page.on('pageerror', (error) => troubles.push(error.message))
    page.on('request', (request) => {
      if (request.url() !== address) troubles.push(`asks for ${request.url()}`)
    })
    await page.goto(address)
    return { page, troubles }
  }
  const visible = (page: Page) => page.locator('.probe:not([hidden])').count()

  test('the page opens without a complaint and without asking for anything else', async () => {
    const { page, troubles } = await open(exampleReport())
    assert.equal(await visible(page), exampleReport().probes.length)
    assert.deepEqual(troubles, [])
    await page.close()
  })

  test('the filters narrow the probes by direction, asset, observer, verdict, target and text', async () => {
    const { page } = await open(exampleReport())
    const form = page.locator('#filters')
    const all = await visible(page)
    const { probes, results } = exampleReport()
    await form.getByLabel('direction').selectOption('across')
    assert.equal(await visible(page), probes.filter(({ direction }) => direction === 'across').length)
    await form.getByRole('button', { name: 'Show all' }).click()
    assert.equal(await visible(page), all)
    await form.getByLabel('observer').selectOption('disk-thief')
    assert.equal(
      await visible(page),
      probes.filter(({ observers }) => observers.includes('disk-thief')).length,
    )
    await form.getByRole('button', { name: 'Show all' }).click()
    await form.getByLabel('verdict').selectOption('LEAK')
    await form.getByLabel('target').selectOption('runsc')
    const leaks = results.filter(({ target, verdict }) => target === 'runsc' && verdict === 'LEAK')
    assert.equal(await visible(page), leaks.length)
    assert.match(await page.locator('#shown').innerText(), new RegExp(`^${leaks.length} of ${all} probes$`))
    await form.getByRole('button', { name: 'Show all' }).click()
    await form.getByLabel('asset').selectOption('memory')
    assert.equal(await visible(page), 1)
    await form.getByRole('button', { name: 'Show all' }).click()
    await form.getByLabel('text').fill('AF_ALG')
    assert.equal(await visible(page), 1)
    await page.close()
  })

  test('a cell of the matrix leads to its probes, also by keyboard, and the address keeps the choice', async () => {
    const { page } = await open(exampleReport())
    await page.locator('.cell[data-asset="privilege"][data-target="docker"]').focus()
    await page.keyboard.press('Enter')
    assert.equal(await visible(page), 2)
    assert.match(page.url(), /#direction=in&asset=privilege&target=docker$/)
    assert.equal(await page.evaluate<string>('document.activeElement.id'), 'h-probes')
    const [first] = await page.locator('.probe:not([hidden]) .result:not([hidden]) h4').allTextContents()
    assert.match(first ?? '', /leak on docker/)
    await page.reload()
    assert.equal(await visible(page), 2)
    await page.close()
  })

  test('evidence opens on demand, by keyboard too', async () => {
    const { page } = await open(exampleReport())
    const evidence = page.locator('.probe .evidence').first()
    assert.ok(!(await evidence.isVisible()))
    await page.locator('.probe summary').first().focus()
    await page.keyboard.press('Enter')
    assert.ok(await evidence.isVisible())
    await page.close()
  })

  test('hostile evidence stays text', async () => {
    const { page, troubles } = await open(hostileReport())
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert.equal(await page.evaluate<boolean>("'owned' in window"), false)
    assert.equal(
      await page.locator('img, iframe, script, main svg [onload]').count(),
      1,
      'our own script only',
    )
    assert.equal(await page.locator('.evidence code').first().innerText(), PAYLOADS[0])
    await page.locator('.cell').first().click()
    assert.ok((await visible(page)) > 0, 'filters work with hostile values')
    assert.deepEqual(troubles, [])
    await page.close()
  })

  for (const colorScheme of ['light', 'dark'] as const)
    test(`text stands out from its ground in the ${colorScheme} scheme (WCAG AA, 4.5:1)`, async () => {
      const { page } = await open(exampleReport(), { colorScheme })
      const faint = await page.evaluate<string[]>(FAINT_TEXTS)
      assert.deepEqual(faint, [])
      await page.close()
    })

  test('a phone shows the page without scrolling sideways, also with long hostile names', async () => {
    for (const report of [exampleReport(), hostileReport()]) {
      const { page } = await open(report, { viewport: { width: 390, height: 844 } })
      assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= 390)
      await page.close()
    }
  })

  test('without its script the page shows everything', async () => {
    const { page } = await open(exampleReport(), { javaScriptEnabled: false })
    assert.equal(await page.locator('.probe').count(), exampleReport().probes.length)
    assert.ok(!(await page.locator('#filters').isVisible()))
    await page.close()
  })

  test('paper gets every probe open', async () => {
    const { page } = await open(exampleReport())
    await page.evaluate("window.dispatchEvent(new Event('beforeprint')) && 0")
    assert.equal(await page.locator('details:not([open])').count(), 0)
    await page.evaluate("window.dispatchEvent(new Event('afterprint')) && 0")
    assert.equal(await page.locator('details[open]').count(), 0)
    await page.close()
  })

  test('screen readers get names for the picture, the tables and the controls', async () => {
    const { page } = await open(exampleReport())
    const picture = page.getByRole('img', {
      name: /Who sees what of docker\..*host root, everyday: \d+ of \d+ probes leak/,
    })
    assert.equal(await picture.count(), 1)
    assert.equal(await page.getByRole('table', { name: 'in: what a container sees of its host' }).count(), 1)
    const unnamed = await page.evaluate<number>(
      "[...document.querySelectorAll('select, input')].filter((one) => one.closest('label') === null).length",
    )
    assert.equal(unnamed, 0)
    await page.close()
  })
})
