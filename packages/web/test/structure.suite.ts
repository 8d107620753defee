/** The structure of a plan, compared with definitions that are slow and plain. */

import fc from 'fast-check'
import t from 'tap'
import { longestRemaining, structureOf } from '../src/structure.js'

type Node = { id: string; blocked_by: string[] }

/** Tasks that wait for earlier ones, in any order. */
const plans = fc.array(fc.array(fc.nat(), { maxLength: 4 }), { maxLength: 14 }).chain((drawn) => {
  const nodes = drawn.map(
    (numbers, i): Node => ({
      id: `t${i}`,
      blocked_by: i === 0 ? [] : [...new Set(numbers.map((number) => `t${number % i}`))],
    }),
  )
  return fc.shuffledSubarray(nodes, { minLength: nodes.length })
})

/** Whether one must be completed before the other. */
function isBefore(nodes: Node[], from: string, to: string): boolean {
  const blockers = nodes.find((node) => node.id === to)!.blocked_by
  return blockers.some((blocker) => blocker === from || isBefore(nodes, from, blocker))
}

const chain = (length: number): Node[] =>
  Array.from({ length }, (_, i) => ({ id: `t${i}`, blocked_by: i ? [`t${i - 1}`] : [] }))

t.test('a layer is the longest way from a task that waits for nothing', async () => {
  fc.assert(
    fc.property(plans, (nodes) => {
      const { layers, layerOf } = structureOf(nodes)
      for (const { id, blocked_by } of nodes) {
        const expected = Math.max(-1, ...blocked_by.map((blocker) => layerOf.get(blocker)!)) + 1
        if (layerOf.get(id) !== expected || !layers[expected]!.includes(id)) return false
      }
      return layers.flat().length === nodes.length
    }),
  )
})

t.test('the edges are those dependencies that no others imply', async () => {
  fc.assert(
    fc.property(plans, (nodes) => {
      const expected = nodes.flatMap(({ id, blocked_by }) =>
        blocked_by
          .filter((from) => !blocked_by.some((other) => other !== from && isBefore(nodes, from, other)))
          .map((from) => `${from} ${id}`),
      )
      const edges = structureOf(nodes).edges.map(({ from, to }) => `${from} ${to}`)
      return edges.sort().join() === expected.sort().join()
    }),
  )
})

t.test('waitsFor and heldUp are all tasks before and after one', async () => {
  fc.assert(
    fc.property(plans, (nodes) => {
      const { waitsFor, heldUp } = structureOf(nodes)
      return nodes.every(({ id: a }) =>
        nodes.every(
          ({ id: b }) =>
            waitsFor(a).has(b) === isBefore(nodes, b, a) && heldUp(a).has(b) === isBefore(nodes, a, b),
        ),
      )
    }),
  )
})

t.test('the longest remaining chain is a chain of open tasks, and none is longer', async () => {
  fc.assert(
    fc.property(plans, fc.func(fc.boolean()), (nodes, isOpen) => {
      const blockersOf = new Map(nodes.map(({ id, blocked_by }) => [id, blocked_by]))
      const lengthTo = (id: string): number =>
        isOpen(id) ? 1 + Math.max(0, ...blockersOf.get(id)!.map(lengthTo)) : 0
      const found = longestRemaining(structureOf(nodes), isOpen)
      return (
        found.length === Math.max(0, ...nodes.map(({ id }) => lengthTo(id))) &&
        found.every((id, i) => isOpen(id) && (i === 0 || blockersOf.get(id)!.includes(found[i - 1]!)))
      )
    }),
  )
})

t.test('a dependency counts although a completed task implies it', async (t) => {
  const nodes = [
    { id: 'a', blocked_by: [] },
    { id: 'b', blocked_by: ['a'] },
    { id: 'c', blocked_by: ['a', 'b'] },
  ]
  t.same(
    longestRemaining(structureOf(nodes), (id) => id !== 'b'),
    ['a', 'c'],
  )
})

t.test('blockers outside the plan are left out, and cycles do not hang', async (t) => {
  t.same(structureOf([{ id: 'a', blocked_by: ['elsewhere'] }]).edges, [])
  const { layers, waitsFor, edges } = structureOf([
    { id: 'a', blocked_by: ['b'] },
    { id: 'b', blocked_by: ['a', 'b'] },
    { id: 'c', blocked_by: ['b'] },
  ])
  t.same(layers, [['a'], ['b'], ['c']])
  t.same(edges.length, 2)
  t.same(waitsFor('c'), new Set(['b', 'a']))
})

t.test('large plans take a moment', async (t) => {
  const wide = Array.from({ length: 2000 }, (_, i) => ({
    id: `t${i}`,
    blocked_by: Array.from({ length: Math.min(i, 50) }, (_, j) => `t${i - 1 - j}`),
  }))
  for (const nodes of [chain(5000), wide]) {
    const start = performance.now()
    const structure = structureOf(nodes)
    t.equal(structure.layers.length, nodes.length)
    t.equal(structure.edges.length, nodes.length - 1)
    t.equal(structure.waitsFor(nodes.at(-1)!.id).size, nodes.length - 1)
    t.equal(longestRemaining(structure, () => true).length, nodes.length)
    t.comment(`${nodes.length} tasks: ${Math.round(performance.now() - start)} ms`)
    t.ok(performance.now() - start < 2000)
  }
})
