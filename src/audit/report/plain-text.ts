/**
 * Text from a hostile container on its way to a terminal or a file of text. Paths, command lines and canaries that a
 * guest chose may hold escape sequences (CVE-2003-0063 and its many children), line feeds that forge further lines, or
 * marks that turn the direction of writing (CVE-2021-42574). They are shown, never obeyed.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu

/** One line, printable whatever it was: `\x1b`, `\u{202e}`. */
export function plainText(text: string): string {
  return text.replace(UNPRINTABLE, escaped)
}

function escaped(character: string): string {
  if (character === '\n') return '\\n'
  if (character === '\t') return '\\t'
  const code = character.codePointAt(0) ?? 0
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}

/** At most `most` characters; says how many more there were. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text
  // Not in the middle of a pair of surrogates.
  const kept = text.slice(0, most).replace(/[\uD800-\uDBFF]$/, '')
  return `${kept}… (${text.length - kept.length} more characters)`
}

/** Lines of at most `width` columns (the first of `first`), broken between words where that can be. */
export function wrapped(text: string, width: number, first = width): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((one) => pieces(one, Math.min(width, first)))) {
    const room = lines.length === 0 ? first : width
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

function pieces(word: string, width: number): string[] {
  return word.length <= width ? [word] : (word.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [])
}
