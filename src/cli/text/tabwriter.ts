const MIN_WIDTH = 10
const PADDING = 3

/**
 * Lays text with tabs out in columns the way docker's tables are (Go's text/tabwriter: a cell is text ended by a tab, a
 * column is a run of lines that have that cell; at least 10 wide, 3 between; the last word of a line is not padded).
 */
export function tabulate(
  text: string,
  options: { readonly minWidth?: number; readonly padding?: number } = {},
): string {
  const { minWidth = MIN_WIDTH, padding = PADDING } = options
  const lines = text.split('\n').map((line) => line.split('\t'))
  const output: string[] = lines.map(() => '')
  const widths: number[] = []
  const write = (from: number, to: number): void => {
    for (let index = from; index < to; index += 1) output[index] = padLine(lines[index] ?? [], widths)
  }
  const block = (from: number, to: number): void => {
    const column = widths.length
    let pending = from
    for (let index = from; index < to; index += 1) {
      if (column >= (lines[index]?.length ?? 0) - 1) continue
      write(pending, index)
      const end = columnEnd(lines, index, to, column)
      const cells = lines.slice(index, end).map((line) => displayWidth(line[column] ?? '') + padding)
      widths.push(Math.max(minWidth, ...cells))
      block(index, end)
      widths.pop()
      pending = end
      index = end - 1
    }
    write(pending, to)
  }
  block(0, lines.length)
  return output.join('\n')
}

function columnEnd(lines: readonly string[][], from: number, to: number, column: number): number {
  let end = from
  while (end < to && column < (lines[end]?.length ?? 0) - 1) end += 1
  return end
}

function padLine(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, index) =>
      index === cells.length - 1
        ? cell
        : cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(cell))),
    )
    .join('')
}

/** Columns on a terminal: East Asian wide characters and emoji take two. */
export function displayWidth(text: string): number {
  // oxlint-disable-next-line no-control-regex
  if (/^[\x00-\x7f]*$/.test(text)) return text.length
  let width = 0
  for (const character of text) width += WIDE.test(character) ? 2 : 1
  return width
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u

/** At most `width` columns, the last one an ellipsis when something was cut, as docker's tables do. */
export function ellipsis(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  if (width <= 1) return characters.slice(0, width).join('')
  return `${characters.slice(0, width - 1).join('')}…`
}
