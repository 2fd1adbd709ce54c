/** An empty volume starts with what the image has at its place, owners and modes of the folder itself included. */
import { PlanFailed } from '../kernel/plan-failed.ts'
import { decodeOps, type OpsEvent } from '../store/ops.ts'
import { packStream } from '../store/pack-stream.ts'
import type { Container } from './container.ts'
import { packInto } from './pack-into.ts'
import { bundleForLayers } from './launch.ts'
import type { RecordedMount } from './record.ts'
import { levelOf, type Services } from './services.ts'

export function copyUp(services: Services, container: Container, mount: RecordedMount): Promise<void> {
  return services.volumes.fillings.fill(mount.point.name ?? '', () =>
    imageContent(services, container, mount),
  )
}

/** Nothing when the image has nothing there, or no folder. */
async function* imageContent(
  services: Services,
  container: Container,
  mount: RecordedMount,
): AsyncGenerator<OpsEvent> {
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
  void packInto(source, `${mount.destination}/.`, stream)
  let begun = false
  try {
    for await (const event of decodeOps(stream)) {
      begun = true
      yield event
    }
  } catch (error) {
    if (begun || !isAbsence(error)) throw error
  } finally {
    abort.abort()
    stream.destroy()
  }
}

const isAbsence = (error: unknown): boolean =>
  error instanceof PlanFailed && (error.errno === 'ENOENT' || error.errno === 'ENOTDIR')
