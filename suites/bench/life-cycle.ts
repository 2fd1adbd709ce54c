import { idOf, type ApiClient } from './api-client.ts'

export const PHASES = ['create', 'start', 'wait', 'remove'] as const

/** Milliseconds of each phase. */
export type LifeCycle = Readonly<Record<(typeof PHASES)[number], number>>

/** create + start + wait + remove of /bin/true. */
export async function lifeCycle(
  api: ApiClient,
  image: string,
  network: 'none' | 'bridge',
): Promise<LifeCycle> {
  const times = [performance.now()]
  const lap = () => times.push(performance.now())
  const id = idOf(
    await api.send('POST', '/containers/create', {
      Image: image,
      Cmd: ['/bin/true'],
      HostConfig: { NetworkMode: network },
    }),
  )
  lap()
  await api.send('POST', `/containers/${id}/start`)
  lap()
  const ended = await api.send('POST', `/containers/${id}/wait`)
  if (!/"StatusCode":\s*0/.test(ended)) throw new Error(`running /bin/true: ${ended}`)
  lap()
  await api.send('DELETE', `/containers/${id}`)
  lap()
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = times
  return { create: b - a, start: c - b, wait: d - c, remove: e - d }
}

export function totalOf(life: LifeCycle): number {
  return PHASES.reduce((sum, phase) => sum + life[phase], 0)
}
