/** What clients in use need beyond the published API. Each is told from its User-Agent, so that others see plain Docker. */

/** Bytes of the buffer through which Python reads an answer's headers; since 3.14 it is larger. */
const HEADER_BUFFER = 8192
/** Milliseconds; dockerd takes about as long to start an exec, and nobody noticed. */
const GAP_MS = 100

/**
 * docker-py and docker-compose v1 read an answer's headers through a buffer and the stream from the socket itself, so
 * what comes together with the headers is lost to them.
 */
function losesWhatFollows(userAgent: string | undefined): boolean {
  return /\bdocker-(py|sdk-python)\//.test(userAgent ?? '')
}

/** Headers that fill the buffer leave no room for the stream: how many bytes they are to be, 0 for no matter. */
export function headerSize(userAgent: string | undefined): number {
  return losesWhatFollows(userAgent) ? HEADER_BUFFER : 0
}

/**
 * Where headers may come in pieces (TCP) or the buffer is larger, nothing tells that a client has read them: the stream
 * follows after a pause.
 */
export function pauseAfterHeaders(userAgent: string | undefined): number {
  return losesWhatFollows(userAgent) ? GAP_MS : 0
}

/** docker-compose v1 asks for the newest API and fails without `ContainerConfig`, which ended with API 1.44. */
export function wantsContainerConfig(userAgent: string | undefined): boolean {
  return (userAgent ?? '').startsWith('docker-compose/1.')
}

/** Milliseconds after a start in which docker-compose v1 may still be on its way to attach. */
const LATE_MS = 10_000

/**
 * `docker-compose run` of v1 starts a container and attaches then. dockerd takes so long to start one that this is in
 * time; here what it printed by then would be lost to the client, so it gets the log first.
 */
export function attachesLate(userAgent: string | undefined, startedAt: number, now = Date.now()): boolean {
  return wantsContainerConfig(userAgent) && startedAt > 0 && now - startedAt < LATE_MS
}
