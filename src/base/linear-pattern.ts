/** Regular expressions of strangers, matched in time linear in the text, as Go's engine does. */
import { setFlagsFromString } from 'node:v8'

/** Longer ones are no name filter. */
const LONGEST = 256

/** V8's own flag: no backtracking, and refused where the pattern would need it. */
const LINEAR = 'l'

let enabled = false

/** Answers whether the pattern is found in a text; undefined for what is no pattern or cannot run in linear time. */
export function linearPattern(source: string): ((text: string) => boolean) | undefined {
  if (source.length > LONGEST) return undefined
  if (!enabled) setFlagsFromString('--enable-experimental-regexp-engine')
  enabled = true
  try {
    const pattern = new RegExp(source, LINEAR)
    return (text) => pattern.test(text)
  } catch {
    return undefined
  }
}
