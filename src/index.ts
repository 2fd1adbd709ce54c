/**
 * Dewar as a library.
 *
 * An engine in your program, no daemon (needs root):
 * ```ts
 * import { Engine } from 'dewar'
 *
 * await using engine = await Engine.open({ root: '/var/lib/mine', run: '/run/mine' })
 * await engine.images.pull('busybox', { onProgress: () => undefined, signal: AbortSignal.timeout(60_000) })
 * const { id } = await engine.containers.create({
 *   config: { image: 'busybox', cmd: ['echo', 'hello'] },
 *   hostConfig: { networkMode: 'none', autoRemove: true },
 *   endpoints: {},
 * })
 * const over = await engine.containers.wait(id, 'removed')
 * await engine.containers.start(id)
 * console.log(await over.result) // { code: 0 }
 * ```
 * Containers that still run when the engine is disposed go on; the next engine on the same root finds them.
 *
 * A client of a running engine, Dewar's or any that speaks Docker's API: `connect`.
 */
export { Engine } from './engine/engine.ts'
export type { EngineOptions } from './engine/options.ts'
export type * from './engine/types.ts'
export { DewarError, ERROR_TABLE, type ErrorCode } from './base/errors.ts'
export { connect, Client, ClientError, type ConnectOptions } from './client/connect.ts'
