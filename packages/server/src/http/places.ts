/** Bounds how many requests that keep their connection are handled at a time, for each caller and in all. */
import type { Caller } from './caller.js'
import { ApiError } from './problem.js'

export interface PlacesOptions {
  /** Most of all callers. */
  most: number
  /** Most of one caller, so that there are places left for others. */
  mostOfCaller: number
}

export class Places {
  readonly #options: PlacesOptions
  readonly #taken = new Map<string, number>()
  #all = 0

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** How many are taken. */
  get taken() {
    return this.#all
  }

  /** Takes a place. Returns a function that frees it, once. Throws `overloaded`. */
  enter({ name }: Pick<Caller, 'name'>): () => void {
    const { most, mostOfCaller } = this.#options
    if (this.#all >= most || (this.#taken.get(name) ?? 0) >= mostOfCaller) throw new ApiError('overloaded')
    this.#count(name, 1)
    let hasLeft = false
    return () => {
      if (!hasLeft) this.#count(name, -1)
      hasLeft = true
    }
  }

  #count(name: string, change: 1 | -1) {
    this.#all += change
    const left = (this.#taken.get(name) ?? 0) + change
    if (left > 0) this.#taken.set(name, left)
    else this.#taken.delete(name)
  }
}
