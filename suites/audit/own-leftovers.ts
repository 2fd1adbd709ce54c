/**
 * Of what a report says is left, all but what stands on another engine than these: every audit tells again what runs left
 * that died with their engine, and the journal is the whole machine's.
 */
export function ownLeftovers(leftovers: readonly string[], ...sockets: readonly string[]): string[] {
  return leftovers.filter((text) => {
    const socket = /^\w+ \S+ at (\S+) is still there: /.exec(text)?.[1]
    return socket === undefined || sockets.includes(socket)
  })
}
