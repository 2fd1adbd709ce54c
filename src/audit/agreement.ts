/**
 * How many rounds must agree. Each round of a measurement says yes or no, and noise (others on the machine) makes some
 * say the wrong thing. If noise alone decided, a round would say either as often, and the allowances below come true by
 * chance once in 128, 155, 169, 124 and 124 trials, often together: less than 3 %. That is for each probe and each of the
 * two verdicts. Where rounds go on disagreeing there is none. Simulated, 20,000 trials each: where one round in ten is wrong
 * 20 are not enough in 3.5 % and 45 in none; where one in five is, in 33 % and 2 %.
 */
export const LOOKS: readonly { readonly rounds: number; readonly odd: number }[] = [
  { rounds: 7, odd: 0 },
  { rounds: 14, odd: 2 },
  { rounds: 20, odd: 4 },
  { rounds: 30, odd: 8 },
  { rounds: 45, odd: 14 },
]

/** Rounds after which there are no more. */
export const MOST_ROUNDS = LOOKS.at(-1)?.rounds ?? 0

/** `more`: go on; `unclear`: there are no more looks. */
export type Agreement = 'yes' | 'no' | 'more' | 'unclear'

/** A round may say neither. */
export function agreement(yes: readonly boolean[], no: readonly boolean[]): Agreement {
  const rounds = yes.length
  const look = LOOKS.find((one) => one.rounds === rounds)
  if (look !== undefined) {
    const enough = (said: readonly boolean[]): boolean => said.filter(Boolean).length >= rounds - look.odd
    if (enough(yes)) return 'yes'
    if (enough(no)) return 'no'
  }
  return rounds >= MOST_ROUNDS ? 'unclear' : 'more'
}

/** The middle one. */
export function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
