import { significant } from './number.ts'

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB']
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB']
const SUFFIXES = 'kmgtpezy'

/**
 * Reads a size as docker's flags do: 512m, 1g, 1.5GiB, 100kb; powers of 1024 whatever the suffix, a bare number is bytes.
 *
 * @example
 * parseBytes('512m') // 536870912
 */
export function parseBytes(word: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtpezy])?(i?b)?)$/i.exec(word)
  if (match?.[1] === undefined || (match[2] === undefined && match[3]?.toLowerCase() === 'ib')) {
    throw new Error(`invalid size: '${word}'`)
  }
  const power = match[2] === undefined ? 0 : SUFFIXES.indexOf(match[2].toLowerCase()) + 1
  return Math.trunc(Number(match[1]) * 1024 ** power)
}

/** 1.98MB as in `images`: decimal units, `digits` significant digits (docker: 3 in tables, 4 in df and stats). */
export function decimalSize(value: number, digits = 4): string {
  return scaled(value, 1000, DECIMAL, digits)
}

/** 23.54GiB as in `info` and `stats`. */
export function binarySize(value: number): string {
  return scaled(value, 1024, BINARY, 4)
}

function scaled(value: number, base: number, units: readonly string[], digits: number): string {
  let rest = value
  let unit = 0
  while (rest >= base && unit < units.length - 1) {
    rest /= base
    unit += 1
  }
  return `${significant(rest, digits)}${units[unit] ?? ''}`
}
