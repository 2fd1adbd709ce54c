/** The core's own tests again, with AddressSanitizer and UBSan watching: any finding kills the process and a test with it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('the native core passes its tests under AddressSanitizer and UBSan', () => {
  const reports = mkdtempSync(join(tmpdir(), 'dewar-asan-'))
  try {
    const build = spawnSync(process.execPath, ['native/build.mjs', 'asan'], { encoding: 'utf8' })
    assert.equal(build.status, 0, build.stderr)
    const files = ['./core.test.js', './log.test.js'].map((file) =>
      fileURLToPath(new URL(file, import.meta.url)),
    )
    const run = spawnSync(process.execPath, ['--test', ...files], {
      encoding: 'utf8',
      timeout: 120_000,
      env: {
        ...process.env,
        NODE_TEST_CONTEXT: undefined,
        DEWAR_TEST_CORE: join(process.cwd(), 'native/build/dewar-core-asan'),
        // Shims end by _exit with what they hold: the kernel frees it.
        ASAN_OPTIONS: `detect_leaks=0:log_path=${reports}/asan`,
        UBSAN_OPTIONS: `halt_on_error=1:log_path=${reports}/ubsan`,
      },
    })
    const findings = readdirSync(reports).map((name) => readFileSync(join(reports, name), 'utf8'))
    assert.deepEqual(findings, [])
    assert.equal(run.status, 0, run.stdout)
    assert.match(run.stdout, /pass 2[0-9]/)
  } finally {
    rmSync(reports, { recursive: true })
  }
})
