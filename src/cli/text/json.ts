/**
 * Lays JSON text out (or takes its white space out) without reading it into values: numbers of any size and escapes
 * stay as the engine wrote them, as docker's inspect keeps them. Empty lists and objects stay on one line.
 */
export function layOutJson(json: string, indent: string): string {
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g
  let depth = 0
  let output = ''
  let opened = false
  const newline = (): string => (indent === '' ? '' : `\n${indent.repeat(depth)}`)
  for (const [text] of json.matchAll(token)) {
    if (text === '}' || text === ']') {
      depth -= 1
      output += opened ? text : `${newline()}${text}`
      opened = false
      continue
    }
    if (opened) output += newline()
    opened = text === '{' || text === '['
    if (opened) depth += 1
    output += text === ':' && indent !== '' ? ': ' : text
    if (text === ',') output += newline()
  }
  return output
}
