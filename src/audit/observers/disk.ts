/** What determined root reads from the raw device below a file system. */
import { readFile, realpath, stat, statfs } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { buffer, text } from 'node:stream/consumers'
import { findProgram, hostCommand } from '../host-command.ts'

/** Where the bytes of a file lie, beside the file system that knows it. */
export interface Extent {
  /** `/dev/vda`. */
  readonly device: string
  /** Bytes from its start. */
  readonly at: number
  readonly length: number
}

const BLOCK = 4096

/** Of a file as it is now; throws with the remedy where the file system has no device or does not tell. */
export async function extentsOf(path: string): Promise<readonly Extent[]> {
  if (findProgram('filefrag') === undefined) throw new Error('filefrag is not installed (install e2fsprogs)')
  const device = await deviceOf(path)
  const { stdout, stderr, code } = await hostCommand(['filefrag', '-s', '-v', '-b4096', path])
  if (code !== 0) throw new Error(`asking where ${path} lies failed: ${stderr.trim()}`)
  return parseExtents(stdout).map(([first, count]) => ({ device, at: first * BLOCK, length: count * BLOCK }))
}

/** First physical block and number of blocks, out of filefrag's table; blocks not yet written are left out. */
export function parseExtents(text: string): readonly (readonly [number, number])[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*\d+:\s+\d+\.\.\s*\d+:\s+(\d+)\.\.\s*\d+:\s+(\d+):(.*)$/.exec(line)
    if (match === null || /delalloc|inline|unknown/.test(match[3] ?? '')) return []
    return [[Number(match[1]), Number(match[2])] as const]
  })
}

async function deviceOf(path: string): Promise<string> {
  const { dev } = await stat(path)
  const major = Math.floor(dev / 256) & 0xfff
  const minor = (dev & 0xff) | (Math.floor(dev / 2 ** 20) * 256)
  const uevent = await readFile(`/sys/dev/block/${major}:${minor}/uevent`, 'utf8').catch(() => '')
  const name = /^DEVNAME=(.+)$/m.exec(uevent)?.[1]
  if (name === undefined) throw new Error(`${path} lies on no block device`)
  // The file below a loop device: what the device caches of it is not what a thief finds.
  const backing = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')
  return backing === '' ? realpath(`/dev/${name}`) : backing.trim()
}

/** Of block devices past the page cache: a buffered read may give what was there when it was last read. */
export async function readRaw(extents: readonly Extent[]): Promise<Buffer> {
  const parts: Buffer[] = []
  for (const { device, at, length } of extents) {
    const words = [
      `if=${device}`,
      `bs=${BLOCK}`,
      `skip=${at / BLOCK}`,
      `count=${length / BLOCK}`,
      'status=none',
    ]
    const direct = device.startsWith('/dev/') ? ['iflag=direct'] : []
    const child = spawn('dd', [...words, ...direct], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [bytes, complaint] = await Promise.all([buffer(child.stdout), text(child.stderr)])
    if (bytes.length !== length)
      throw new Error(`reading ${device} failed: ${complaint.trim()} (audit where root may read it)`)
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}

/** What was written has reached the device, and what was freed has been discarded where the file system does that. */
export async function settle(path: string): Promise<void> {
  await statfs(path)
  await hostCommand(['sync', '-f', path])
}
