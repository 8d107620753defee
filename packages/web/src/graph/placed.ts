/** A graph with its places, computed by the worker. */
import type { Structure } from '../structure.js'
import { type Graph, type Layout, NODE, type Point } from './layout.js'

/** The file of the worker, beside this one; set by scripts/build.ts. */
declare const LAYOUT_WORKER: string

export interface Placed {
  structure: Structure
  nodes: ReadonlyMap<string, Box>
  arrows: readonly Arrow[]
  /** The ids of each column, from top to bottom. */
  columns: readonly (readonly string[])[]
  columnOf: ReadonlyMap<string, number>
  width: number
  height: number
}

export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

export interface Arrow extends Box {
  from: string
  to: string
  /** As in the attribute `d` of an SVG path. */
  path: string
}

let worker: Worker | undefined
let last: Promise<unknown> = Promise.resolve()

/** One layout at a time: an answer belongs to the last question. */
export function placed(structure: Structure): Promise<Placed> {
  const result = last.then(() => ask(graphOf(structure))).then((layout) => withLayout(structure, layout))
  last = result.catch(() => {})
  return result
}

const idsOf = ({ layerOf }: Structure) => [...layerOf.keys()]

function graphOf(structure: Structure): Graph {
  const numberOf = new Map(idsOf(structure).map((id, i) => [id, i]))
  return {
    column: [...structure.layerOf.values()],
    edges: structure.edges.map(({ from, to }) => [numberOf.get(from)!, numberOf.get(to)!] as const),
  }
}

function ask(graph: Graph): Promise<Layout> {
  worker ??= new Worker(new URL(LAYOUT_WORKER, import.meta.url), { type: 'module' })
  return new Promise((resolve, reject) => {
    worker!.onmessage = ({ data }: MessageEvent<Layout>) => resolve(data)
    worker!.onerror = reject
    worker!.postMessage(graph)
  })
}

function withLayout(structure: Structure, { x, y, column, lines, width, height }: Layout): Placed {
  const nodes = new Map<string, Box>()
  const columnOf = new Map<string, number>()
  const columns: string[][] = []
  for (const [i, id] of idsOf(structure).entries()) {
    const [left, top] = [Math.round(x[i]!), Math.round(y[i]!)]
    nodes.set(id, { left, top, right: left + NODE.width, bottom: top + NODE.height })
    columnOf.set(id, column[i]!)
    columns[column[i]!] ??= []
    columns[column[i]!]!.push(id)
  }
  for (const ids of columns) ids?.sort((a, b) => nodes.get(a)!.top - nodes.get(b)!.top)
  const arrows = structure.edges.map((edge, i) => ({ ...edge, ...boxOf(lines[i]!), path: pathOf(lines[i]!) }))
  return { structure, nodes, arrows, columns, columnOf, width, height }
}

/** The graph without some of its tasks; the others stay where they are. */
export function only(graph: Placed, isShown: (id: string) => boolean): Placed {
  return {
    ...graph,
    nodes: new Map([...graph.nodes].filter(([id]) => isShown(id))),
    arrows: graph.arrows.filter(({ from, to }) => isShown(from) && isShown(to)),
    columns: graph.columns.map((ids) => ids.filter(isShown)),
  }
}

function boxOf(line: readonly Point[]): Box {
  const heights = line.map(({ y }) => y)
  return {
    left: line[0]!.x,
    right: line.at(-1)!.x,
    top: Math.min(...heights) - 5,
    bottom: Math.max(...heights) + 5,
  }
}

/** Curves between the columns, straight within them, and a head. */
function pathOf(line: readonly Point[]): string {
  const points = line.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y * 2) / 2 }))
  const { x, y } = points.at(-1)!
  let path = `M${points[0]!.x} ${points[0]!.y}`
  for (let i = 1; i < points.length; i++) {
    const from = points[i - 1]!
    const to = points[i]!
    const middle = (from.x + to.x) / 2
    path += i % 2 ? `C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}` : `H${to.x}`
  }
  return `${path}M${x - 6} ${y - 4}L${x} ${y}L${x - 6} ${y + 4}`
}
