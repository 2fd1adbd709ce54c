/** What Dewar leaves out on purpose, answered as dockerd answers where it lacks it. */
import { DewarError } from '../base/errors.ts'
import type { ErrorCode } from '../base/errors.ts'
import { sendJson } from './respond.ts'
import { on } from './route.ts'
import type { Method, Room } from './route.ts'

const NO_SWARM =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
const NO_SCHEDULER = 'Dewar has no swarm mode: it is an engine for one machine'

export function absentRoutes({ app }: Pick<Room, 'app'>): void {
  const refuse = (method: Method, url: string, code: ErrorCode, message: string): void =>
    on(app, method, url, () => {
      throw new DewarError(code, message)
    })

  for (const kind of ['nodes', 'services', 'tasks', 'secrets', 'configs']) {
    refuse('GET', `/${kind}`, 'unavailable', NO_SWARM)
    for (const method of ['GET', 'POST', 'DELETE'] as const)
      refuse(method, `/${kind}/*`, 'unavailable', NO_SWARM)
  }
  for (const path of ['/swarm', '/swarm/unlockkey']) refuse('GET', path, 'unavailable', NO_SWARM)
  for (const path of ['/swarm/init', '/swarm/join']) refuse('POST', path, 'not-implemented', NO_SCHEDULER)
  refuse('POST', '/swarm/leave', 'unavailable', 'This node is not part of a swarm')
  for (const path of ['/swarm/update', '/swarm/unlock']) refuse('POST', path, 'unavailable', NO_SWARM)

  on(app, 'GET', '/plugins', (call) => sendJson(call.reply, []))
  on(app, 'GET', '/plugins/*', (call) => {
    const name = call.param('*').replace(/\/json$/, '')
    throw new DewarError('not-found', `plugin ${JSON.stringify(name)} not found`)
  })
  for (const method of ['POST', 'DELETE'] as const)
    refuse(method, '/plugins/*', 'not-implemented', 'Dewar has no plugins')

  refuse(
    'PUT',
    '/volumes/*',
    'unavailable',
    'volume update only valid for cluster volumes, but swarm is unavailable',
  )
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', '/:checkpoint'],
  ] as const)
    refuse(
      method,
      `/containers/:id/checkpoints${path}`,
      'not-implemented',
      'Dewar takes no checkpoints of containers: pause keeps them as they are, commit keeps their files',
    )

  // With an Upgrade header it never comes here.
  refuse(
    'GET',
    '/containers/:id/attach/ws',
    'invalid-argument',
    'bad WebSocket handshake: attach/ws wants a WebSocket client',
  )
  for (const path of ['/session', '/grpc'])
    refuse('POST', path, 'invalid-argument', 'no upgrade proto in request')
}
