/** Where here-documents begin in a line: `RUN <<EOF`, `COPY <<-"END" /file`. */

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
  return rawWords(line, escape).flatMap((word) => parseHeredoc(word) ?? [])
}

export function parseHeredoc(word: string): HeredocStart | undefined {
  const [, , dash, quote, name] = WORD.exec(word) ?? []
  if (name === undefined) return undefined
  return { name, chomp: dash === '-', expand: quote === '' }
}

/** Words as they stand there, quotes and all; what is quoted as a whole is no operator. */
function rawWords(line: string, escape: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  for (let at = 0; at < line.length; at += 1) {
    const char = line[at] ?? ''
    if (quote === '' && /\s/.test(char)) {
      if (word !== '') words.push(word)
      word = ''
      continue
    }
    if (char === escape && quote !== "'") {
      word += char + (line[at + 1] ?? '')
      at += 1
      continue
    }
    if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    word += char
  }
  if (word !== '') words.push(word)
  return words
}
