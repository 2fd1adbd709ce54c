import { readdir, readFile } from 'node:fs/promises'

/**
 * Kills, by their pids, the processes that have a test's own folder in their command line. For helpers that outlive the
 * program that started them, such as podman's conmon, which stays five minutes after an exec.
 */
export async function killProcessesOf(folder: string): Promise<void> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (Number(pid) === process.pid || !argv.includes(`${folder}/`)) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
  }
}
