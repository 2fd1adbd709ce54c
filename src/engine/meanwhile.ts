/** Why something could not be done with a container that ended, or was removed, in the middle of it. */
import { DewarError } from '../base/errors.ts'
import { hasNamespaces } from '../base/process-namespaces.ts'
import type { Container, Running } from './container.ts'
import type { Services } from './services.ts'

/**
 * `work` of this container. Any step may be the first to fail when its processes, groups or files go, so what is told is
 * that they have gone, and not which step it was.
 */
export async function meanwhile<T>(
  services: Services,
  container: Container,
  work: () => Promise<T>,
): Promise<T> {
  const reason = reasonFor(services, container)
  try {
    return await work()
  } catch (error) {
    throw reason(error)
  }
}

/** As it is now; what is answered gives for an error of later what is to be told. */
export function reasonFor(
  { containers }: Pick<Services, 'containers'>,
  container: Container,
): (error: unknown) => unknown {
  const { running } = container
  return (error) => {
    // Anything else is about what was asked for.
    if (error instanceof DewarError && error.code !== 'system') return error
    if (containers.byId(container.id) !== container)
      return new DewarError('not-found', `No such container: ${container.name}`, { cause: error })
    if (running !== undefined && hasEnded(container, running))
      return new DewarError('conflict', `container ${container.id} is not running`, { cause: error })
    return error
  }
}

/** Its shim tells of the end when it is over. Before that what ends has no namespaces any more. */
export function hasEnded(container: Container, running: Running): boolean {
  return container.running !== running || !hasNamespaces(running.shim.pid)
}
