/**
 * A layered layout, left to right (after Sugiyama): vertices in columns, few crossings, short and mostly straight edges.
 * Pure and without the DOM. It runs in a worker; 500 tasks take some 100 ms.
 */

export const NODE = { width: 188, height: 48 }
const GAP = { column: 60, row: 12, edge: 8 }

/** Vertices are numbers from 0, `column` has the first column that each can be in. */
export interface Graph {
  column: readonly number[]
  edges: readonly (readonly [from: number, to: number])[]
}

export interface Layout {
  /** The left upper corner of each vertex. */
  x: number[]
  y: number[]
  column: number[]
  /** For each edge, the points that its line goes through. */
  lines: Point[][]
  width: number
  height: number
}

export interface Point {
  x: number
  y: number
}

/** A place in a column: a vertex, or an edge on its way to a later column. */
interface Place {
  column: number
  height: number
  before: Link[]
  after: Link[]
  /** Its rank in the column. */
  rank: number
  /** The vertical centre. */
  y: number
}
interface Link {
  place: Place
  weight: number
}

export function layOut({ column: given, edges }: Graph): Layout {
  const column = narrow(pullSources(given, edges), edges)
  const places = column.map((it): Place => newPlace(it, NODE.height))
  const ways = edges.map(([from, to]) => {
    const way = [places[from]!]
    for (let i = column[from]! + 1; i < column[to]!; i++) way.push(newPlace(i, 0))
    way.push(places[to]!)
    for (let i = 1; i < way.length; i++) {
      // Long edges are kept straight rather than short ones.
      const weight = way[i - 1]!.height || way[i]!.height ? 1 : 8
      way[i - 1]!.after.push({ place: way[i]!, weight })
      way[i]!.before.push({ place: way[i - 1]!, weight })
    }
    return way
  })

  // Parts that do not depend on each other lie one below the other. Tasks without any dependency are in a grid below them.
  let height = 0
  const single: Place[] = []
  for (const part of partsOf(places)) {
    if (part.length === 1) {
      single.push(part[0]!)
      continue
    }
    const columns = orderColumns(part)
    setHeights(columns)
    height = moveBelow(part, height)
  }
  const columns = Math.max(1, ...column.map((it) => it + 1), Math.ceil(Math.sqrt(single.length / 2)))
  for (const [i, place] of single.entries()) {
    place.column = i % columns
    place.y = height + Math.floor(i / columns) * (NODE.height + GAP.row) + NODE.height / 2
  }
  if (single.length) height += Math.ceil(single.length / columns) * (NODE.height + GAP.row)

  const left = (place: Place) => place.column * (NODE.width + GAP.column)
  return {
    x: places.map(left),
    y: places.map(({ y }) => y - NODE.height / 2),
    column: places.map((place) => place.column),
    lines: ways.map((way) =>
      way.flatMap((place, i) => {
        const points = []
        if (i > 0) points.push({ x: left(place), y: place.y })
        if (i < way.length - 1) points.push({ x: left(place) + NODE.width, y: place.y })
        return points
      }),
    ),
    width: Math.max(0, ...places.map((place) => left(place) + NODE.width)),
    height: Math.max(0, height - GAP.row),
  }
}

const newPlace = (column: number, height: number): Place => ({
  column,
  height,
  before: [],
  after: [],
  rank: 0,
  y: 0,
})

/** What waits for nothing moves next to the first one that waits for it: short edges instead of a long first column. */
function pullSources(given: readonly number[], edges: Graph['edges']): number[] {
  const column = [...given]
  const first = new Map<number, number>()
  const hasBlocker = new Set(edges.map(([, to]) => to))
  for (const [from, to] of edges) first.set(from, Math.min(first.get(from) ?? Infinity, given[to]!))
  for (const [vertex, next] of first) if (!hasBlocker.has(vertex)) column[vertex] = next - 1
  return column
}

/** Moves what a column has no room for to later ones: two hundred tasks behind one are not a tower (Coffman, Graham). */
function narrow(wanted: readonly number[], edges: Graph['edges']): number[] {
  const room = Math.max(16, Math.ceil(Math.sqrt(2 * wanted.length)))
  const column = [...wanted]
  const taken: number[] = []
  const after = new Map<number, number[]>()
  for (const [from, to] of edges) after.set(from, [...(after.get(from) ?? []), to])
  const connected = new Set(edges.flat())
  // Columns only grow, and along edges only to the right: each vertex comes after its blockers.
  for (const vertex of [...connected].sort((a, b) => wanted[a]! - wanted[b]! || a - b)) {
    while ((taken[column[vertex]!] ?? 0) >= room) column[vertex]!++
    taken[column[vertex]!] = (taken[column[vertex]!] ?? 0) + 1
    for (const next of after.get(vertex) ?? []) column[next] = Math.max(column[next]!, column[vertex]! + 1)
  }
  return column
}

function partsOf(places: readonly Place[]): Place[][] {
  const seen = new Set<Place>()
  const parts: Place[][] = []
  for (const first of places) {
    if (seen.has(first)) continue
    seen.add(first)
    const part = [first]
    for (const { before, after } of part)
      for (const { place } of [...before, ...after])
        if (!seen.has(place)) {
          seen.add(place)
          part.push(place)
        }
    parts.push(part)
  }
  return parts
}

/** Sorts each column by the means of the neighbours in the column beside, to and fro, and keeps the order with the fewest crossings. */
function orderColumns(part: readonly Place[]): Place[][] {
  const columns: Place[][] = []
  const start = part.reduce((min, { column }) => Math.min(min, column), Infinity)
  for (const place of depthFirst(part)) {
    columns[place.column - start] ??= []
    columns[place.column - start]!.push(place)
  }
  const rank = (column: Place[]) => {
    for (const [i, place] of column.entries()) place.rank = i
  }
  columns.forEach(rank)

  let best = columns.map((column) => [...column])
  let fewest = crossings(columns)
  for (let sweep = 0, useless = 0; sweep < 24 && useless < 6 && fewest > 0; sweep++) {
    const forwards = sweep % 2 === 0
    for (const column of forwards ? columns.slice(1) : columns.slice(0, -1).reverse()) {
      const means = new Map(
        column.map((place) => {
          const links = forwards ? place.before : place.after
          const sum = links.reduce((total, link) => total + link.place.rank, 0)
          return [place, links.length ? sum / links.length : place.rank]
        }),
      )
      column.sort((a, b) => means.get(a)! - means.get(b)!)
      rank(column)
    }
    const count = crossings(columns)
    useless++
    if (count < fewest) {
      fewest = count
      best = columns.map((column) => [...column])
      useless = 0
    }
  }
  best.forEach(rank)
  return best
}

/** Neighbours close to each other, as a start. */
function depthFirst(part: readonly Place[]): Set<Place> {
  const order = new Set<Place>()
  for (const start of part) {
    const stack = start.before.length ? [] : [start]
    for (let place = stack.pop(); place; place = stack.pop()) {
      if (order.has(place)) continue
      order.add(place)
      for (const link of place.after.toReversed()) stack.push(link.place)
    }
  }
  return order
}

/** Pairs of edges that cross between two columns: inversions, counted with a tree of sums (Barth, Jünger, Mutzel). */
function crossings(columns: readonly Place[][]): number {
  let count = 0
  for (const [i, column] of columns.slice(1).entries()) {
    const sums = new Uint32Array(columns[i]!.length + 1)
    let seen = 0
    for (const place of column) {
      for (const { place: other } of place.before) {
        let notAbove = 0
        for (let at = other.rank + 1; at > 0; at -= at & -at) notAbove += sums[at]!
        count += seen - notAbove
      }
      for (const { place: other } of place.before) {
        for (let at = other.rank + 1; at < sums.length; at += at & -at) sums[at]!++
        seen++
      }
    }
  }
  return count
}

/** Moves each place to the mean of its neighbours, as far as the order and the gaps of its column allow. */
function setHeights(columns: readonly Place[][]) {
  for (const column of columns) pack(column, () => 0)
  for (let sweep = 0; sweep < 14; sweep++) {
    const forwards = sweep % 2 === 0
    // At first drawn to the middle, 0, a little, so that the whole does not become too high.
    const pull = sweep < 6 ? 0.1 : 0
    const meanOf = (links: readonly Link[], otherwise: number) => {
      const weight = links.reduce((sum, link) => sum + link.weight, 0)
      const sum = links.reduce((sum, link) => sum + link.place.y * link.weight, 0)
      return weight ? sum / (weight + pull) : otherwise
    }
    for (const column of forwards ? columns : columns.toReversed())
      pack(column, ({ before, after, y }) =>
        sweep < 10 ? meanOf(forwards ? before : after, y) : meanOf([...before, ...after], y),
      )
  }
}

/** The heights nearest to the wanted ones that keep order and gaps: isotonic regression by pooling adjacent violators. */
function pack(column: readonly Place[], wanted: (place: Place) => number) {
  const blocks: { sum: number; count: number }[] = []
  const offsets: number[] = []
  let offset = 0
  for (const [i, place] of column.entries()) {
    const previous = column[i - 1]
    if (previous) offset += (previous.height + place.height) / 2 + (place.height ? GAP.row : GAP.edge)
    offsets.push(offset)
    let block = { sum: wanted(place) - offset, count: 1 }
    for (
      let last = blocks.at(-1);
      last && last.sum / last.count > block.sum / block.count;
      last = blocks.at(-1)
    ) {
      block = { sum: last.sum + block.sum, count: last.count + block.count }
      blocks.pop()
    }
    blocks.push(block)
  }
  let i = 0
  for (const { sum, count } of blocks)
    for (let end = i + count; i < end; i++) column[i]!.y = sum / count + offsets[i]!
}

/** Moves a part so that it begins at the height, and returns where it ends. */
function moveBelow(part: readonly Place[], top: number): number {
  let min = Infinity
  let max = -Infinity
  for (const { y, height } of part) {
    min = Math.min(min, y - height / 2)
    max = Math.max(max, y + height / 2)
  }
  for (const place of part) place.y += top - min
  return top + max - min + 2 * GAP.row
}
