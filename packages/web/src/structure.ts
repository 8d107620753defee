/** How the tasks of a plan depend on each other. Pure: no DOM, so that tests and the layout worker use it as well. */

export interface Structure {
  /** Ids by the longest way from a task that waits for nothing. What is in one layer can be done at the same time. */
  layers: readonly (readonly string[])[]
  layerOf: ReadonlyMap<string, number>
  /** The direct blockers that are in the plan, in the order of `blocked_by`. */
  blockersOf: ReadonlyMap<string, readonly string[]>
  /** The dependencies that no others imply (the transitive reduction), from the blocker to what waits for it. */
  edges: readonly Edge[]
  /** All tasks that must be completed before this one. */
  waitsFor(id: string): Set<string>
  /** All tasks that cannot start before this one is completed. */
  heldUp(id: string): Set<string>
}

export interface Edge {
  from: string
  to: string
}

export function structureOf(tasks: Iterable<{ id: string; blocked_by: readonly string[] }>): Structure {
  const given = new Map([...tasks].map(({ id, blocked_by }) => [id, blocked_by]))
  const order = topologicalOrder(given)
  const layerOf = new Map<string, number>()
  for (const [id, blockers] of order)
    layerOf.set(
      id,
      blockers.reduce((max, blocker) => Math.max(max, layerOf.get(blocker)! + 1), 0),
    )
  // In the order of the plan, not in the one that tasks were reached in.
  const layers: string[][] = []
  for (const id of given.keys()) {
    const layer = layerOf.get(id)!
    layers[layer] ??= []
    layers[layer].push(id)
  }

  const edges = reduce(order, layerOf)
  const before = new Map<string, string[]>()
  const after = new Map<string, string[]>()
  for (const { from, to } of edges) {
    append(before, to, from)
    append(after, from, to)
  }
  return {
    layers,
    layerOf,
    blockersOf: order,
    edges,
    waitsFor: (id) => reachable(id, before),
    heldUp: (id) => reachable(id, after),
  }
}

/**
 * The longest chain of open tasks, each a blocker of the next: the least that is left to do however many work on it.
 * It goes along `blocked_by`: a completed task no longer holds up anything, but a dependency that it implied may.
 */
export function longestRemaining(structure: Structure, isOpen: (id: string) => boolean): string[] {
  const chains = new Map<string, { length: number; previous: string | undefined }>()
  let last: string | undefined
  for (const [id, blockers] of structure.blockersOf) {
    if (!isOpen(id)) continue
    let length = 1
    let previous: string | undefined
    for (const blocker of blockers) {
      const chain = chains.get(blocker)
      if (chain && chain.length >= length) {
        length = chain.length + 1
        previous = blocker
      }
    }
    chains.set(id, { length, previous })
    if (last === undefined || length > chains.get(last)!.length) last = id
  }
  const ids: string[] = []
  for (let id = last; id !== undefined; id = chains.get(id)!.previous) ids.push(id)
  return ids.reverse()
}

/**
 * Every task with its blockers, blockers first (Kahn). Blockers outside the plan are left out. The service refuses
 * cycles; if there is one, it is cut, so that nothing here waits for it.
 */
function topologicalOrder(given: ReadonlyMap<string, readonly string[]>) {
  const blockersOf = new Map<string, readonly string[]>()
  const dependants = new Map<string, string[]>()
  const missing = new Map<string, number>()
  for (const [id, blocked_by] of given) {
    const blockers = [...new Set(blocked_by)].filter((blocker) => given.has(blocker))
    blockersOf.set(id, blockers)
    missing.set(id, blockers.length)
    for (const blocker of blockers) append(dependants, blocker, id)
  }

  const placed = new Map<string, readonly string[]>()
  const place = (first: string) => {
    const queue = [first]
    for (const id of queue) {
      if (placed.has(id)) continue
      placed.set(
        id,
        blockersOf.get(id)!.filter((blocker) => placed.has(blocker)),
      )
      for (const dependant of dependants.get(id) ?? []) {
        const left = missing.get(dependant)! - 1
        missing.set(dependant, left)
        if (left === 0) queue.push(dependant)
      }
    }
  }
  for (const [id, count] of [...missing]) if (count === 0) place(id)
  for (const id of blockersOf.keys()) if (!placed.has(id)) place(id)
  return placed
}

/** Leaves out each blocker that another blocker of the same task waits for. Sets are rows of bits: 2000 tasks take 500 kB. */
function reduce(order: ReadonlyMap<string, readonly string[]>, layerOf: ReadonlyMap<string, number>): Edge[] {
  const width = Math.ceil(order.size / 32)
  const numberOf = new Map([...order.keys()].map((id, number) => [id, number]))
  const ancestors = new Uint32Array(order.size * width)
  const edges: Edge[] = []
  for (const [to, blockers] of order) {
    const row = numberOf.get(to)! * width
    // A blocker is implied only by one of a later layer, which therefore comes first.
    for (const from of blockers.toSorted((a, b) => layerOf.get(b)! - layerOf.get(a)!)) {
      const number = numberOf.get(from)!
      const word = row + (number >>> 5)
      const bit = 1 << (number & 31)
      if (ancestors[word]! & bit) continue
      for (let i = 0; i < width; i++) ancestors[row + i]! |= ancestors[number * width + i]!
      ancestors[word]! |= bit
      edges.push({ from, to })
    }
  }
  return edges
}

function reachable(start: string, next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set<string>()
  const stack = [start]
  for (let id = stack.pop(); id !== undefined; id = stack.pop())
    for (const neighbour of next.get(id) ?? [])
      if (!found.has(neighbour)) {
        found.add(neighbour)
        stack.push(neighbour)
      }
  return found
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V) {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}
