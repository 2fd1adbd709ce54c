/** Where here-documents begin in a line: `RUN <<EOF`, `COPY <<-"END" /file`. */
import { quotedWords } from './dockerfile-words.ts'

export interface HeredocStart {
  readonly name: string
  /** `<<-`: tabs before each line go. */
  readonly chomp: boolean
  /** The name was not quoted: variables in the content are replaced. */
  readonly expand: boolean
}

const INSTRUCTIONS = /^(ONBUILD\s+)?(RUN|COPY|ADD)\s/i
const WORD = /^(\d*)<<(-?)(["']?)([a-zA-Z_][a-zA-Z0-9_.-]*)\3$/

export function findHeredocs(line: string, escape: string): HeredocStart[] {
  if (!INSTRUCTIONS.test(line) || !line.includes('<<')) return []
  // In a JSON list nothing is the shell's.
  if (/^\S+\s+(--\S+\s+)*\[/.test(line)) return []
  // What is quoted as a whole is no operator.
  return quotedWords(line, escape).flatMap((word) => parseHeredoc(word) ?? [])
}

export function parseHeredoc(word: string): HeredocStart | undefined {
  const [, , dash, quote, name] = WORD.exec(word) ?? []
  if (name === undefined) return undefined
  return { name, chomp: dash === '-', expand: quote === '' }
}
