/** What `--volumes-from` takes along from other containers. */
import { DewarError } from '../base/errors.ts'
import { namedContainer } from './joins.ts'
import type { InheritedMount } from './mount-requests.ts'
import type { Services } from './services.ts'

/** `--volumes-from CONTAINER[:ro|rw]` */
export function inheritedMounts(
  containers: Services['containers'],
  from: readonly string[],
): InheritedMount[] {
  return from.flatMap((spec) => {
    const [ref = '', mode = ''] = spec.split(':')
    if (mode !== '' && mode !== 'ro' && mode !== 'rw' && mode !== 'z' && mode !== 'Z') {
      throw new DewarError('invalid-argument', `invalid mode for volumes-from: ${mode}`)
    }
    const source = namedContainer(ref, containers)
    const points = source.record.mounts.filter((mount) => mount.type !== 'tmpfs')
    return points.map(({ point, anonymous, subpath }) => ({
      ...point,
      anonymous,
      ...(subpath === undefined ? {} : { subpath }),
      rw: mode === 'ro' ? false : point.rw,
    }))
  })
}
