/** Traffic counters of a container's interfaces, from its /proc/PID/net/dev. */
export interface InterfaceStats {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxErrors: number
  readonly rxDropped: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txErrors: number
  readonly txDropped: number
}

/** By interface name, without lo, as `docker stats` counts. The columns are those of proc_pid_net(5). */
export function parseInterfaceStats(text: string): Record<string, InterfaceStats> {
  const stats: Record<string, InterfaceStats> = {}
  for (const line of text.split('\n')) {
    const colon = line.lastIndexOf(':')
    if (colon < 0) continue
    const name = line.slice(0, colon).trim()
    const columns = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number)
    if (name === 'lo' || columns.length < 12 || columns.some(Number.isNaN)) continue
    const at = (n: number): number => columns[n] ?? 0
    stats[name] = {
      rxBytes: at(0),
      rxPackets: at(1),
      rxErrors: at(2),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txErrors: at(10),
      txDropped: at(11),
    }
  }
  return stats
}
