/** An empty volume starts with what the image has at its place, owners and modes of the folder itself included. */
import { PlanFailed } from '../kernel/plan-failed.ts'
import { decodeOps } from '../store/ops.ts'
import { packStream } from '../store/pack-stream.ts'
import { unpackOps } from '../store/unpack.ts'
import { encodeEvents } from './build/events.ts'
import type { Container } from './container.ts'
import { packInto } from './container-files.ts'
import { bundleForLayers } from './launch.ts'
import type { RecordedMount } from './record.ts'
import { levelOf, type Services } from './services.ts'
import { isEmptyFolder } from './volumes.ts'

export async function copyUp(services: Services, container: Container, mount: RecordedMount): Promise<void> {
  if (!(await isEmptyFolder(mount.source))) return
  const bundle = await bundleForLayers(services, container)
  // Without the volume itself, which would hide what is to be copied.
  const bare = { ...bundle, spec: { ...bundle.spec, mounts: [] } }
  const stream = packStream()
  const abort = new AbortController()
  const source = {
    services,
    level: levelOf(services, container),
    bundle: bare,
    running: undefined,
    signal: abort.signal,
  }
  packInto(source, `${mount.destination}/.`, stream)
  try {
    await unpackOps({ core: services.core }, mount.source, encodeEvents(decodeOps(stream)))
  } catch (error) {
    // The image has nothing there, or no folder: the volume stays empty.
    if (!(error instanceof PlanFailed && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR'))) throw error
  } finally {
    abort.abort()
  }
}
