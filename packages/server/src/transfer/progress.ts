/** Prints how far a long command is: a line for each ten percent of its rows. */

export interface Progress {
  advance(rows: number): void
  /** Prints a line about a row. */
  print(line: string): void
}

/** Where it is printed, such as stderr. */
export interface Out {
  write(text: string): unknown
}

/** @param total How many rows are expected. */
export function showProgress(total: number, out: Out): Progress {
  let done = 0
  let shown = 0
  const print = (line: string) => void out.write(`${line}\n`)
  return {
    advance(rows) {
      done += rows
      const tenths = Math.min(10, Math.floor((10 * done) / total))
      if (tenths === shown) return
      shown = tenths
      print(`${done} of ${total} rows`)
    },
    print,
  }
}
