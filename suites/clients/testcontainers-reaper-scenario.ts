/** A test that leaves all it made. Run by testcontainers.test.ts, with a reaper that removes it when this program has ended. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { GenericContainer, Network } from 'testcontainers'

test('leaves a container, a network, and a reaper that runs', async () => {
  const network = await new Network().start()
  await new GenericContainer(`${process.env['REGISTRY'] ?? ''}/busybox:latest`)
    .withCommand(['sleep', '600'])
    .withNetwork(network)
    .start()
  const names = execFileSync('docker', ['ps', '--format', '{{.Image}} {{.Names}}'], { encoding: 'utf8' })
  assert.match(names, /\/busybox:latest /)
  assert.match(names, /\/reaper:latest testcontainers-ryuk-/)
})
