/** What was written in a workspace, as a layer. */
import { spoolOf, type Build } from './build.ts'
import { readLayer, type Layer } from './layer.ts'
import type { StageState } from './stage.ts'
import type { Workspace } from './workspace.ts'

/** `from`: milliseconds, when writing began. */
export function workspaceLayer(
  build: Build,
  state: StageState,
  space: Workspace,
  from: number,
): Promise<(Layer & AsyncDisposable) | undefined> {
  return readLayer({
    sandbox: build.sandbox,
    upper: space.upper,
    range: space.range,
    lower: space.lower,
    isDebris: () => false,
    spool: spoolOf(build),
    times: { from, to: build.epoch ?? state.created },
  })
}
