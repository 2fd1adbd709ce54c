/** Exec: create, resize, inspect. Start is in route-streams.ts. */
import { DewarError } from '../base/errors.ts'
import { parseDetachKeys } from '../engine/detach-keys.ts'
import type { ExecView } from '../engine/types.ts'
import { EXEC_CREATE } from './container-schema.ts'
import { checkExecRef } from './ref.ts'
import { sendEmpty, sendJson } from './respond.ts'
import { idOf, sizeOf } from './route-containers.ts'
import { on } from './route.ts'
import type { Room } from './route.ts'

export function execRoutes({ app, engine }: Room): void {
  const { execs } = engine
  on(app, 'POST', '/containers/:id/exec', async (call) => {
    const container = idOf(call)
    const config = EXEC_CREATE.decode((await call.json()) ?? {})
    if (config.cmd.length === 0) throw new DewarError('invalid-argument', 'No exec command specified')
    return sendJson(call.reply, { Id: await execs.create(container, config) }, 201)
  })
  on(app, 'GET', '/exec/:id/json', async (call) =>
    sendJson(call.reply, execJson(await execs.inspect(checkExecRef(call.param('id'))))),
  )
  on(app, 'POST', '/exec/:id/resize', async (call) => {
    await execs.resize(checkExecRef(call.param('id')), sizeOf(call, 'h'), sizeOf(call, 'w'))
    return sendEmpty(call.reply, 200)
  })
}

function execJson(exec: ExecView): object {
  const { user, detachKeys } = exec.config
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: exec.config.tty,
      entrypoint: exec.entrypoint,
      arguments: exec.arguments,
      privileged: exec.config.privileged,
      ...(user === '' ? {} : { user }),
    },
    OpenStdin: exec.openStdin,
    OpenStderr: exec.openStderr,
    OpenStdout: exec.openStdout,
    CanRemove: exec.canRemove,
    ContainerID: exec.containerId,
    DetachKeys: detachKeys === undefined ? '' : parseDetachKeys(detachKeys).toString('base64'),
    Pid: exec.pid,
  }
}
