import type { Progress } from '../client/connect.ts'
import { ClientError } from '../client/connect.ts'
import { decimalSize } from './text/size.ts'

/** Shows pull, push, load and import progress: bars on a terminal, docker's plain lines elsewhere. Throws on an error line. */
export async function showProgress(
  lines: AsyncIterable<Progress>,
  stream: NodeJS.WriteStream,
  onAux?: (aux: unknown) => void,
): Promise<void> {
  const display = stream.isTTY === true ? await terminalDisplay(stream) : plainDisplay(stream)
  try {
    for await (const line of lines) {
      const problem = line.errorDetail?.message ?? line.error
      if (problem !== '') throw new ClientError(0, problem)
      if (line.aux !== undefined && line.aux !== null) onAux?.(line.aux)
      else display.show(line)
    }
  } finally {
    display.end()
  }
}

interface Display {
  show(line: Progress): void
  end(): void
}

function plainDisplay(stream: NodeJS.WriteStream): Display {
  return {
    show: (line) => {
      if (
        line.progressDetail !== undefined &&
        (line.progressDetail.current > 0 || line.progressDetail.total > 0)
      )
        return
      stream.write(plainText(line))
    },
    end: () => undefined,
  }
}

function plainText(line: Progress): string {
  if (line.stream !== '') return line.stream
  const from = line.from === '' ? '' : `(from ${line.from}) `
  return `${line.id === '' ? '' : `${line.id}: `}${from}${line.status}\n`
}

/** One bar per layer; what has no layer (names, digests, states without numbers before the first bar) is a line. */
async function terminalDisplay(stream: NodeJS.WriteStream): Promise<Display> {
  const { default: progress } = await import('cli-progress')
  const bars = new progress.MultiBar({
    stream,
    format: '{id}: {status} {bar} {sizes}',
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    barsize: 40,
    hideCursor: true,
    clearOnComplete: false,
    forceRedraw: true,
    fps: 15,
    gracefulExit: true,
    formatBar: (share, options) => {
      const size = options.barsize ?? 40
      const done = Math.round(share * size)
      return `[${'='.repeat(done)}${done < size ? '>' : ''}${' '.repeat(Math.max(0, size - done - 1))}]`
    },
  })
  const layers = new Map<string, ReturnType<typeof bars.create>>()
  return {
    show: (line) => {
      // "1.27: Pulling from library/nginx" has an id too, the tag, and is no layer.
      if (line.id === '' || line.stream !== '' || line.status.startsWith('Pulling from')) {
        bars.log(ensureNewline(plainText(line)))
        bars.update()
        return
      }
      const { current, total } = line.progressDetail ?? { current: 0, total: 0 }
      const sizes = total > 0 ? `${decimalSize(current)}/${decimalSize(total)}` : ''
      const bar = layers.get(line.id) ?? bars.create(1, 0, { id: line.id, status: line.status, sizes })
      layers.set(line.id, bar)
      const done = /^(Pull complete|Already exists|Pushed|Layer already exists|Download complete)/.test(
        line.status,
      )
      bar.update(total > 0 ? Math.min(1, current / total) : done ? 1 : 0, {
        id: line.id,
        status: line.status,
        sizes,
      })
    },
    end: () => {
      bars.update()
      bars.stop()
    },
  }
}

function ensureNewline(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`
}
