/** The plan as a graph, left to right. The layout runs in a worker, and only what is in view is drawn. */

import type { Task } from '@aklp/task-client'
import { batch, type ReadonlySignal, useComputed, useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { HideDone, Zoom } from '../controls.js'
import { useGradually } from '../gradually.js'
import { type Plan, type State, stateOf } from '../plan.js'
import { StateIcon } from '../state-icon.js'
import { longestRemaining, structureOf } from '../structure.js'
import { type TextKey, t } from '../text.js'
import { NODE } from './layout.js'
import { type Arrow, type Box, only, type Placed, placed } from './placed.js'
import { createView, READABLE, touches } from './view.js'

/** Plans with more tasks are not fitted into the view at first, but shown where work is going on. */
const FITTED = 150
/** By how much a step of the zoom enlarges. */
const STEP = 1.25

/** What a task or an arrow is to the selected task. */
type Tone = 'selected' | 'waits' | 'held' | 'dim' | undefined

export function Graph({ plan }: { plan: Plan }) {
  const graph = usePlaced(plan)
  const view = useMemo(createView, [])
  const frame = useRef<HTMLDivElement>(null)
  const stage = useRef<HTMLDivElement>(null)
  /** The task that Tab reaches; arrow keys move it. */
  const current = useSignal<string | undefined>(undefined)
  const chain = useComputed(() =>
    longestRemaining(plan.structure.value, (id) => plan.tasks.value.get(id)?.status !== 'completed'),
  )
  const toneOf = useTones(plan)

  useEffect(() => view.attach(frame.current!), [])
  useSignalEffect(() => {
    const { x, y } = view.origin.value
    stage.current!.style.transform = `translate(${x}px, ${y}px) scale(${view.zoom.value})`
  })

  const arranged = useRef<Placed | undefined>(undefined)
  useSignalEffect(() => {
    const { value } = graph
    if (!(value instanceof Object) || !view.size.value.width || value.nodes.size === 0) return
    const before = arranged.current
    if (before === value) return
    arranged.current = value
    batch(() => {
      if (current.value === undefined || !value.nodes.has(current.value))
        current.value = whereWorkIs(plan, value)
      const anchor = [current.value, ...value.nodes.keys()].find((id) => before?.nodes.has(id))
      if (before && anchor !== undefined) view.follow(before.nodes.get(anchor)!, value.nodes.get(anchor)!)
      else arrange(value)
    })
  })
  // A task that was selected elsewhere comes into view.
  useSignalEffect(() => {
    const id = plan.selected.value
    const box = id !== undefined && graph.value instanceof Object ? graph.value.nodes.get(id) : undefined
    if (!box || !arranged.current) return
    current.value = id
    if (!view.isFar.peek()) view.reveal(box)
  })

  function arrange({ nodes, width, height }: Placed) {
    const all = { left: 0, top: 0, right: width, bottom: height }
    if (nodes.size <= FITTED && view.fitting(all) >= READABLE) view.centre(all, view.fitting(all))
    else view.centre(nodes.get(current.value!)!, 0.8)
  }
  function fit() {
    if (!(graph.value instanceof Object)) return
    const { width, height } = graph.value
    const all = { left: 0, top: 0, right: width, bottom: height }
    view.centre(all, view.fitting(all))
  }

  const zoomBy = (factor: number) => view.zoomTo(view.zoom.value * factor)

  /** The task at the pointer: zoomed out, tasks are no elements. */
  function under(event: MouseEvent): string | undefined {
    if (!(graph.value instanceof Object)) return undefined
    const { x, y } = view.pointOf(event, frame.current!)
    return idsIn(graph.value, { left: x, top: y, right: x, bottom: y })[0]
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const action = {
      '+': () => zoomBy(STEP),
      '=': () => zoomBy(STEP),
      '-': () => zoomBy(1 / STEP),
      '0': fit,
    }[event.key]
    const next = graph.value instanceof Object && nextOf(graph.value, current.value, event.key)
    if (!action && !next) return
    event.preventDefault()
    action?.()
    if (!next) return
    current.value = next
    view.reveal((graph.value as Placed).nodes.get(next)!)
    // It may only now be drawn.
    requestAnimationFrame(() =>
      frame.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true }),
    )
  }

  const drawing = { plan, drawn: view.drawn, chain, toneOf }
  return (
    <section class="graph">
      <div class="graph-tools">
        <HideDone plan={plan} />
        <Legend chain={chain} selected={plan.selected} />
        <Zoom step={STEP} zoomBy={zoomBy} fit={fit} />
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      <div
        ref={frame}
        class={view.isFar.value ? 'graph-frame is-far' : 'graph-frame'}
        role="group"
        aria-label={t('graphLabel')}
        aria-describedby="graph-hint"
        onKeyDown={onKeyDown}
        onClick={(event) => {
          if (!(event.target as Element).closest('button')) plan.selected.value = under(event)
        }}
        onPointerMove={(event) => {
          const id = view.isFar.value ? under(event) : undefined
          event.currentTarget.title = (id !== undefined && plan.tasks.value.get(id)?.title) || ''
        }}
      >
        <div ref={stage} class="graph-stage">
          {graph.value instanceof Object && (
            <>
              <Arrows {...drawing} graph={graph.value} />
              <Blocks {...drawing} graph={graph.value} isFar={view.isFar} />
              <Nodes {...drawing} graph={graph.value} current={current} isFar={view.isFar} />
            </>
          )}
        </div>
        <Message graph={graph} />
      </div>
      <p id="graph-hint" class="graph-hint">
        {t('graphHint')}
      </p>
    </section>
  )
}

/**
 * The places of the tasks. They are computed again only when tasks or edges change, or when a task has no place yet:
 * while what is done is hidden, a task that is completed leaves a gap, and nothing else moves.
 */
function usePlaced(plan: Plan): ReadonlySignal<Placed | 'placing' | 'failed'> {
  const result = useSignal<Placed | 'placing' | 'failed'>('placing')
  const asked = useRef<{ structure: unknown; hidesDone: boolean; ids: ReadonlySet<string> } | undefined>(
    undefined,
  )
  useSignalEffect(() => {
    const structure = plan.structure.value
    const hidesDone = plan.hidesDone.value
    const tasks = hidesDone ? [...plan.tasks.value.values()].filter(isOpen) : undefined
    const ids = tasks ? tasks.map(({ id }) => id) : [...structure.layerOf.keys()]
    const before = asked.current
    const isSame = before?.structure === structure && before.hidesDone === hidesDone
    if (isSame && ids.every((id) => before.ids.has(id))) return
    const question = { structure, hidesDone, ids: new Set(ids) }
    asked.current = question
    placed(tasks ? structureOf(tasks) : structure).then(
      (graph) => {
        if (asked.current === question) result.value = graph
      },
      () => {
        result.value = 'failed'
      },
    )
  })
  return useComputed(() => {
    const { value } = result
    if (!(value instanceof Object) || !plan.hidesDone.value) return value
    return only(value, (id) => isOpen(plan.tasks.value.get(id)))
  })
}

const isOpen = (task: Task | undefined) => task !== undefined && task.status !== 'completed'

function useTones(plan: Plan): (id: string) => Tone {
  const lit = useComputed(() => {
    const id = plan.selected.value
    if (id === undefined || !plan.tasks.value.has(id)) return undefined
    const { waitsFor, heldUp } = plan.structure.value
    return { id, waits: waitsFor(id), held: heldUp(id) }
  })
  return (id) => {
    if (!lit.value) return undefined
    if (id === lit.value.id) return 'selected'
    if (lit.value.waits.has(id)) return 'waits'
    return lit.value.held.has(id) ? 'held' : 'dim'
  }
}

/** Where to begin: the selected task, else one that is worked on, else one that can be. */
function whereWorkIs(plan: Plan, { nodes, columns }: Placed): string {
  const selected = plan.selected.peek()
  if (selected !== undefined && nodes.has(selected)) return selected
  const ids = columns.flat()
  const find = (state: string) => ids.find((id) => stateOf(plan.tasks.peek().get(id)!, plan) === state)
  return find('in_progress') ?? find('ready') ?? ids[0]!
}

/** Left and right go along the arrows, up and down within a column; where there is no arrow, to the nearest in the column beside. */
function nextOf(graph: Placed, id: string | undefined, key: string): string | undefined {
  if (id === undefined) return undefined
  const { columns, columnOf, nodes, arrows } = graph
  const column = columnOf.get(id)!
  const nearest = (ids: readonly string[] = []) => {
    const distance = (other: string) => Math.abs(nodes.get(other)!.top - nodes.get(id)!.top)
    return ids.toSorted((a, b) => distance(a) - distance(b))[0]
  }
  const inColumn = (step: number) => columns[column]![columns[column]!.indexOf(id) + step]
  switch (key) {
    case 'ArrowUp':
      return inColumn(-1)
    case 'ArrowDown':
      return inColumn(1)
    case 'ArrowLeft':
      return (
        nearest(arrows.filter(({ to }) => to === id).map(({ from }) => from)) ?? nearest(columns[column - 1])
      )
    case 'ArrowRight':
      return (
        nearest(arrows.filter(({ from }) => from === id).map(({ to }) => to)) ?? nearest(columns[column + 1])
      )
    case 'Home':
      return columns[0]?.[0]
    case 'End':
      return columns.at(-1)?.at(-1)
  }
}

interface Drawing {
  plan: Plan
  graph: Placed
  drawn: ReadonlySignal<Box>
  chain: ReadonlySignal<readonly string[]>
  toneOf: (id: string) => Tone
}

function Nodes({
  graph,
  drawn,
  chain,
  current,
  isFar,
  ...props
}: Drawing & { current: ReadonlySignal<string | undefined>; isFar: ReadonlySignal<boolean> }) {
  const inChain = useComputed(() => new Set(chain.value.length > 1 ? chain.value : []))
  const inView = isFar.value ? [] : idsIn(graph, drawn.value)
  const ids = [...useGradually(inView)]
  // The task with the focus is there always: keys start from it.
  const { value } = current
  if (value !== undefined && graph.nodes.has(value) && !ids.includes(value)) ids.push(value)
  return ids.map((id) => {
    const { left, top } = graph.nodes.get(id)!
    return <Node key={id} id={id} left={left} top={top} inChain={inChain} current={current} {...props} />
  })
}

interface NodeProps {
  id: string
  left: number
  top: number
  plan: Plan
  toneOf: (id: string) => Tone
  inChain: ReadonlySignal<ReadonlySet<string>>
  current: ReadonlySignal<string | undefined>
}

function Node({ id, left, top, plan, toneOf, inChain, current }: NodeProps) {
  const shown = useComputed(() => plan.tasks.value.get(id))
  const state = useComputed(() => shown.value && stateOf(shown.value, plan))
  const look = useComputed(() => `tone-${toneOf(id) ?? 'none'} ${inChain.value.has(id) ? 'on-chain' : ''}`)
  const tabIndex = useComputed(() => (current.value === id ? 0 : -1))
  const task = shown.value
  if (!task || !state.value) return null
  const holder = state.value === 'in_progress' ? task.claimed_by : null
  return (
    <button
      type="button"
      class={`graph-node is-${state.value} ${holder ? 'is-held' : ''} ${look.value}`}
      style={{ left: `${left}px`, top: `${top}px`, width: `${NODE.width}px`, height: `${NODE.height}px` }}
      tabIndex={tabIndex.value}
      data-task={id}
      title={task.title}
      aria-pressed={look.value.startsWith('tone-selected')}
      onClick={() => {
        plan.selected.value = id
      }}
    >
      <StateIcon state={state.value} />
      <span class="graph-title">{task.title}</span>
      {holder && <span class="graph-holder">{holder}</span>}
      <span class="hidden">, {t(state.value)}</span>
    </button>
  )
}

/** The signs of the states, drawn from the middle of a task. */
const SIGNS: Record<State, string> = {
  ready: 'm-9-15l24 15-24 15z',
  in_progress: 'm0-16a16 16 0 0 1 0 32z',
  blocked: 'm-22-4h44v8h-44z',
  deferred: 'm-4-16h8v14h14v8h-22z',
  completed: 'm-18 0l6-6 8 8 16-16 6 6-22 22z',
}

/** Zoomed out, tasks are blocks with a sign. All of one look are one element, so that thousands of tasks are a few elements. */
function Blocks({ plan, graph, toneOf, isFar }: Drawing & { isFar: ReadonlySignal<boolean> }) {
  if (!isFar.value) return null
  const looks = new Map<string, { blocks: string; signs: string }>()
  for (const [id, { left, top }] of graph.nodes) {
    const task = plan.tasks.value.get(id)
    if (!task) continue
    const state = stateOf(task, plan)
    const look = `is-${state} tone-${toneOf(id) ?? 'none'}`
    const { blocks, signs } = looks.get(look) ?? { blocks: '', signs: '' }
    looks.set(look, {
      blocks: `${blocks}M${left} ${top}h${NODE.width}v${NODE.height}h${-NODE.width}z`,
      signs: `${signs}M${left + NODE.width / 2} ${top + NODE.height / 2}${SIGNS[state]}`,
    })
  }
  return (
    <svg class="graph-drawing" aria-hidden="true">
      {[...looks].sort().map(([look, { blocks, signs }]) => (
        <g key={look} class={`graph-blocks ${look}`}>
          <path d={blocks} />
          <path class="graph-signs" d={signs} />
        </g>
      ))}
    </svg>
  )
}

const idsIn = (graph: Placed, area: Box) =>
  [...graph.nodes.keys()].filter((id) => touches(graph.nodes.get(id)!, area))

/** What an arrow is, and in which order they are drawn: the last one is on top. */
const KINDS = ['dim', 'met', 'open', 'chain', 'held', 'waits'] as const

/** All arrows of one kind are one element: hundreds of them would take long to style and to lay out. */
function Arrows({ plan, graph, drawn, chain, toneOf }: Drawing) {
  const { value: tasks } = plan.tasks
  const next = new Map(chain.value.slice(1).map((id, i) => [chain.value[i]!, id]))
  const kindOf = ({ from, to }: Arrow): (typeof KINDS)[number] => {
    const [before, after] = [toneOf(from), toneOf(to)]
    if (before === 'waits' && (after === 'waits' || after === 'selected')) return 'waits'
    if (after === 'held' && (before === 'held' || before === 'selected')) return 'held'
    if (next.get(from) === to) return 'chain'
    if (before) return 'dim'
    return isOpen(tasks.get(from)) ? 'open' : 'met'
  }
  const paths = new Map(KINDS.map((kind) => [kind, [] as string[]]))
  for (const arrow of graph.arrows)
    if (touches(arrow, drawn.value)) paths.get(kindOf(arrow))!.push(arrow.path)
  return (
    <svg class="graph-drawing" aria-hidden="true">
      {[...paths].map(([kind, lines]) => (
        <path key={kind} class={`arrow is-${kind}`} d={lines.join('')} data-arrows={lines.length} />
      ))}
    </svg>
  )
}

function Legend({
  chain,
  selected,
}: {
  chain: ReadonlySignal<readonly string[]>
  selected: ReadonlySignal<string | undefined>
}) {
  const entry = (kind: string, key: TextKey, n = 0) => (
    <span class={`graph-key is-${kind}`}>{t(key, { n })}</span>
  )
  return (
    <span class="graph-legend">
      {chain.value.length > 1 && entry('chain', 'graphChain', chain.value.length)}
      {selected.value !== undefined && entry('waits', 'waitsFor')}
      {selected.value !== undefined && entry('held', 'holdsUp')}
    </span>
  )
}

function Message({ graph: { value } }: { graph: ReadonlySignal<Placed | 'placing' | 'failed'> }) {
  const key = value === 'placing' ? 'graphLayingOut' : value === 'failed' ? 'graphFailed' : undefined
  if (key) return <p class="graph-message">{t(key)}</p>
  return value instanceof Object && value.nodes.size === 0 ? (
    <p class="graph-message">{t('allDone')}</p>
  ) : null
}
