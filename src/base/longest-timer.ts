/** Milliseconds, 24.8 days: a longer timer of Node's ends at once (setTimeout, "the delay will be set to 1"). */
export const LONGEST_TIMER = 2 ** 31 - 1
