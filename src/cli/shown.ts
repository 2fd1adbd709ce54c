/**
 * What an image, a container or a registry wrote, on its way to a terminal: a label, a command, a program's name. There it
 * is shown, never obeyed. Elsewhere it stays as docker gives it, for programs that read it.
 */
import { plainText } from '../audit/report/plain-text.ts'

export type Stream = Pick<NodeJS.WriteStream, 'isTTY'>

/** Of one line or cell. */
export function shown(text: string, on: Stream): string {
  return on.isTTY === true ? plainText(text) : text
}

/** Of a message, with its lines and tabs. */
export function shownLines(text: string, on: Stream): string {
  return on.isTTY === true ? text.replace(/[^\n\t]+/g, plainText) : text
}
