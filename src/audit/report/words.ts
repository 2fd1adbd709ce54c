/** The words and signs that every form of the report shares, so that no two of them name a thing differently. */
import type { Direction, Observer, Report, Survey, Verdict } from '../types.ts'

export const DIRECTIONS = ['out', 'in', 'across'] as const satisfies readonly Direction[]

export const DIRECTION_TITLE: Readonly<Record<Direction, string>> = {
  out: 'out: what others see of a container',
  in: 'in: what a container sees of its host',
  across: 'across: what neighbours do to each other',
}

/** Worst first: the worst verdict of a cell is the one it shows. */
export const VERDICTS = ['LEAK', 'INCONCLUSIVE', 'CONTAINED', 'ABSENT'] as const satisfies readonly Verdict[]

/** One column wide in every terminal font, and told apart without colour. */
export const VERDICT_SIGN: Readonly<Record<Verdict, string>> = {
  LEAK: '✗',
  INCONCLUSIVE: '?',
  CONTAINED: '✓',
  ABSENT: '-',
}

export const VERDICT_MEANING: Readonly<Record<Verdict, string>> = {
  LEAK: 'seen, with evidence',
  INCONCLUSIVE: 'a control failed, so nothing is proven',
  CONTAINED: 'not seen, although it was there and could have been',
  ABSENT: 'there is no such thing here',
}

export const OBSERVER_NAME: Readonly<Record<Observer, string>> = {
  guest: 'guest',
  neighbour: 'neighbour',
  'unprivileged-user': 'unprivileged user',
  'host-root': 'host root, everyday',
  'determined-root': 'host root, determined',
  'disk-thief': 'disk thief',
  'api-user': 'other API users',
}

/** `1 leak`, `3 leaks`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

/** `2 min 5 s`, `0.4 s`. */
export function durationWords(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** `docker: 50 channels, 27 of them on no list of ours, in 7421 files that can be read on both sides.` */
export function surveyWords({ discoveries }: Report, survey: Survey): string {
  const { target, compared, files, cut, blocked, reference, constant, failure } = survey
  if (failure !== undefined) return `${target}: the discoverer did not end: ${failure}`
  const mine = discoveries.filter((one) => one.target === target)
  const unknown = mine.filter(({ known }) => known.length === 0).length
  const words = [
    `${target}: ${counted(mine.length, 'channel')}, ${unknown} of them on no list of ours, in ${compared} files that can be read on both sides (${files} inside).`,
    reference === undefined
      ? 'Without a reference machine: constants of the kernel are among the equal values.'
      : `${counted(constant ?? 0, 'equal value')} left out that a reference machine (kernel ${reference}) has too.`,
    cut ? 'There were more files than it looks at.' : '',
    blocked.length === 0 ? '' : `Left out, since they did not answer: ${blocked.join(', ')}.`,
  ]
  return words.filter((word) => word !== '').join(' ')
}
