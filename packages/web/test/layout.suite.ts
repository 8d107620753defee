/** The layout of the graph: nothing overlaps, arrows go to the right, and a large plan takes a moment. */

import t from 'tap'
import { layOut, NODE } from '../src/graph/layout.js'
import { structureOf } from '../src/structure.js'

type Node = { id: string; blocked_by: string[] }

/** As the graph view gives a plan to the worker. */
function place(nodes: Node[]) {
  const { layerOf, edges } = structureOf(nodes)
  const ids = nodes.map(({ id }) => id)
  const number = new Map(ids.map((id, i) => [id, i]))
  const graph = {
    column: ids.map((id) => layerOf.get(id)!),
    edges: edges.map(({ from, to }) => [number.get(from)!, number.get(to)!] as const),
  }
  return { ...layOut(graph), edges: graph.edges }
}

/** A plan in which a task waits for up to `most` of those shortly before it; the same one each time. */
function plan(size: number, most: number, reach: number): Node[] {
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48271) % 2147483647
    return seed % below
  }
  return Array.from({ length: size }, (_, i) => ({
    id: `t${i}`,
    blocked_by: Array.from(
      { length: i ? random(most + 1) : 0 },
      () => `t${i - 1 - random(Math.min(i, reach))}`,
    ),
  }))
}

const chain = (length: number): Node[] =>
  Array.from({ length }, (_, i) => ({ id: `t${i}`, blocked_by: i ? [`t${i - 1}`] : [] }))

for (const [name, nodes] of Object.entries({
  'forty tasks': plan(40, 2, 12),
  'five hundred tasks': plan(500, 2, 60),
  'two thousand tasks': plan(2000, 2, 100),
  'a chain of five hundred': chain(500),
  'five hundred without dependencies': plan(500, 0, 1),
  'one task': chain(1),
  'no tasks': [],
}))
  t.test(name, async (t) => {
    const start = performance.now()
    const { x, y, lines, edges, width, height } = place(nodes)
    t.comment(`${Math.round(performance.now() - start)} ms, ${Math.round(width)} × ${Math.round(height)}`)

    const sorted = [...nodes.keys()].sort((a, b) => x[a]! - x[b]! || y[a]! - y[b]!)
    const tooClose = sorted.filter((b, i) => {
      const a = sorted[i - 1]
      return a !== undefined && x[a] === x[b] && y[b]! - y[a]! < NODE.height
    })
    t.same(tooClose, [], 'no two overlap')
    t.ok(
      edges.every(([from, to]) => x[from]! + NODE.width < x[to]!),
      'arrows go to the right',
    )
    t.ok(
      lines.every((line, i) => {
        const [from, to] = edges[i]!
        return line[0]!.y === y[from]! + NODE.height / 2 && line.at(-1)!.x === x[to]!
      }),
      'lines begin and end at their tasks',
    )
    t.ok(y.every((it) => it >= -0.01 && it + NODE.height <= height + 0.01))
  })

t.test('a chain is straight', async (t) => {
  t.same(new Set(place(chain(50)).y), new Set([0]))
})

t.test('what waits for nothing is next to what waits for it', async (t) => {
  const { column } = place([
    ...chain(4),
    { id: 'late', blocked_by: [] },
    { id: 'end', blocked_by: ['t3', 'late'] },
  ])
  t.same(column, [0, 1, 2, 3, 3, 4])
})
