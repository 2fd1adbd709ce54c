/** WORKDIR: the folder is made, so that later steps and containers find it. */
import { posix } from 'node:path'
import { DewarError } from '../../base/errors.ts'
import { bytesOf } from '../../store/ops.ts'
import type { Build } from './build.ts'
import { missingFolders, newFolder, ROOT } from './copy-target.ts'
import { CLOCK_SLACK_MS } from './layer.ts'
import { addStep, fromCache, nopCommand, nopContainer, stepKey, type StageState } from './stage.ts'
import { entryIn, follow, plainPath } from './tree.ts'
import { openWorkspace, type Workspace } from './workspace.ts'
import { workspaceLayer } from './workspace-layer.ts'

export async function workdirStep(
  build: Build,
  state: StageState,
  path: string,
  made: string[],
): Promise<void> {
  if (path === '') throw new DewarError('invalid-argument', 'cannot normalize nothing')
  const workingDir = path.startsWith('/') ? path : posix.join('/', state.config.workingDir, path)
  const config = { ...state.config, workingDir }
  const command = nopCommand(config, `WORKDIR ${workingDir}`)
  const key = stepKey(build, state, ['workdir'], config)
  const hit = fromCache(build, state, key)
  state.config = config
  if (hit) return
  const from = Date.now() - CLOCK_SLACK_MS
  await using space = await openWorkspace(build.services, build.sandbox, state.imageId)
  await makeFolders(space, workingDir)
  made.push(await nopContainer(build, state, command))
  await using layer = await workspaceLayer(build, state, space, from)
  await addStep(build, state, { config, createdBy: command.join(' '), key, layer })
}

async function makeFolders(space: Workspace, path: string): Promise<void> {
  const plain = plainPath(bytesOf(path))
  if (plain === '') return
  const target = await follow(space, `/${plain}`)
  const at = plainPath(target.path)
  if (target.entry !== undefined && (await entryIn(space, `/${at}/.`)) === undefined)
    throw new DewarError('invalid-argument', `Cannot mkdir: ${path} is not a directory`)
  const missing = await missingFolders(space, at, true)
  if (missing.length === 0) return
  async function* events() {
    for (const folder of missing) yield newFolder(folder, ROOT)
  }
  await space.apply(events())
}
