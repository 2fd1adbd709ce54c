/** The few ways in which the experiment's words are set off; none of them without colours. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  good(text: string): string
  bad(text: string): string
}

export function paintFor(coloured: boolean): Paint {
  const code =
    (number: string) =>
    (text: string): string =>
      coloured ? `\u001b[${number}m${text}\u001b[0m` : text
  return { bold: code('1'), dim: code('2'), good: code('32'), bad: code('33') }
}
