/** How far a long command is, for the person who waits: a bar on a terminal, else a line now and then. */

export interface Progress {
  advance(rows: number): void
  /** Writes a line for the person who waits, without harm to the bar. */
  tell(line: string): void
  /** To be called when all is done, or nothing more will be. */
  end(): void
}

/** Where it is shown, such as stderr. */
export interface Out {
  isTTY?: boolean
  write(text: string): unknown
}

const WIDTH = 30

/** @param total How many rows there are to come. */
export function showProgress(total: number, out: Out): Progress {
  let done = 0
  let shown = 0
  // Every percent on a terminal; elsewhere, where lines pile up, every tenth.
  const step = out.isTTY ? 1 : 10
  const bar = () => {
    const filled = Math.round((WIDTH * shown) / 100)
    return `\r\x1b[K[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${shown} %  ${done} of ${total} rows`
  }
  return {
    advance(rows) {
      done += rows
      const percent = Math.min(100, Math.floor((100 * done) / total))
      if (percent < shown + step) return
      shown = percent - (percent % step)
      out.write(out.isTTY ? bar() : `${done} of ${total} rows\n`)
    },
    tell(line) {
      out.write(out.isTTY ? `\r\x1b[K${line}\n${shown === 0 ? '' : bar()}` : `${line}\n`)
    },
    end() {
      if (out.isTTY && shown > 0) out.write('\n')
    },
  }
}
