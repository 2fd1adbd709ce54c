/** A container's record for tests: created, and nothing else. */
import { parseRecord, type ContainerRecord } from './record.ts'

export const exampleRecord = (change: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...parseRecord({
    version: 1,
    id: 'a'.repeat(64),
    name: 'one',
    created: 1,
    imageId: 'sha256:0',
    lower: [],
    platform: 'linux',
    level: 'namespaces',
    path: 'true',
    args: [],
    config: {},
    hostConfig: {},
    endpoints: {},
    range: null,
    mounts: [],
    state: { status: 'created', exitCode: 0, error: '' },
    restartCount: 0,
    manuallyStopped: false,
    lastDelay: 0,
    network: { attachments: [], published: [] },
    networks: {},
    ports: {},
  }),
  ...change,
})
