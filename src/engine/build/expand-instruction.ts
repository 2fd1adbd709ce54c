/** Replaces variables in an instruction, where dockerd does. Pure. */
import { expandWord, expandWords, type Variables } from './expand.ts'
import type { Instruction } from './instruction.ts'

export function expandInstruction<T extends Instruction>(
  instruction: T,
  variables: Variables,
  escape: string,
): Instruction {
  const word = (text: string): string => expandWord(text, variables, escape)
  switch (instruction.kind) {
    case 'env':
    case 'label': {
      if (instruction.literal === true) return instruction
      const pairs = instruction.pairs.map(({ key, value }) => ({ key: word(key), value: word(value) }))
      return { ...instruction, pairs }
    }
    case 'arg':
      return {
        ...instruction,
        args: instruction.args.map(({ key, value }) =>
          value === undefined ? { key: word(key) } : { key: word(key), value: word(value) },
        ),
      }
    case 'copy':
    case 'add': {
      const { sources, target, heredocs, flags } = instruction
      return {
        ...instruction,
        sources: sources.map(word),
        target: word(target),
        flags: new Map([...flags].map(([name, value]) => [name, name === 'from' ? value : word(value)])),
        heredocs: heredocs.map((heredoc) =>
          heredoc.expand ? { ...heredoc, content: expandText(heredoc.content, variables, escape) } : heredoc,
        ),
      }
    }
    case 'workdir':
    case 'user':
    case 'stopsignal':
      return { ...instruction, value: word(instruction.value) }
    case 'volume':
      return { ...instruction, values: instruction.values.map(word) }
    case 'expose':
      return {
        ...instruction,
        values: instruction.values.flatMap((text) => expandWords(text, variables, escape)),
      }
    default:
      return instruction
  }
}

/** In a here-document quotes are characters like others: line by line, within double quotes. */
function expandText(text: string, variables: Variables, escape: string): string {
  return expandWord(`"${text.replaceAll('"', `${escape}"`)}"`, variables, escape)
}
