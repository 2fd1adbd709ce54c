import type { Row } from './row.ts'
import { buildFailureRows } from './rows/build-failures.ts'
import { buildOptionRows } from './rows/build-options.ts'
import { buildRows } from './rows/build.ts'
import { execRows } from './rows/exec-logs.ts'
import { imageRows } from './rows/images.ts'
import { inspectRows } from './rows/inspect-api.ts'
import { lifeRows } from './rows/life.ts'
import { networkRows } from './rows/network.ts'
import { rawApiRows } from './rows/raw-api.ts'
import { resourceRows } from './rows/resources.ts'
import { runRows } from './rows/run.ts'
import { volumeRows } from './rows/volumes.ts'

export const TABLE: readonly Row[] = [
  ...runRows,
  ...resourceRows,
  ...lifeRows,
  ...execRows,
  ...imageRows,
  ...buildRows,
  ...buildOptionRows,
  ...buildFailureRows,
  ...networkRows,
  ...volumeRows,
  ...inspectRows,
  ...rawApiRows,
]
