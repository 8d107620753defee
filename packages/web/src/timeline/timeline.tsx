/** Who worked on what, when, with notes and progress: one row per worker, on a scale that shortens pauses. */
import type { Task } from '@aklp/task-client'
import { type ReadonlySignal, type Signal, useComputed, useSignal } from '@preact/signals'
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { Zoom } from '../controls.js'
import { useGradually } from '../gradually.js'
import type { Plan } from '../plan.js'
import { keepsEvents } from '../service.js'
import { language, t } from '../text.js'
import { moment, now } from '../time.js'
import { type Interval, type Scale, scaleOf } from './scale.js'
import { type Lane, lanesOf, type Note, type Outcome, progressOf, type Span, type Step } from './spans.js'

const ROW = 26
const PLOT = 56
/** How many entries of the tables are shown at first. */
const PAGE = 20
/** How many new bars a row draws in a frame. */
const PER_FRAME = 10
const OUTCOMES: readonly Outcome[] = ['running', 'completed', 'released', 'expired']
const MARKS: Record<Outcome, string> = { running: '▶', completed: '✓', released: '↩', expired: '!' }

export function Timeline({ plan }: { plan: Plan }) {
  useEffect(() => plan.loadEvents(), [plan])
  const scroll = useRef<HTMLDivElement>(null)
  const room = useSignal(0)
  const zoom = useSignal(1)
  const lanes = useComputed(() => lanesOf(plan.events.value, plan.tasks.value))
  const steps = useComputed(() => progressOf(plan.events.value, plan.tasks.value))
  const end = useEnd(lanes)
  const scale = useComputed(() =>
    scaleOf(intervalsOf(lanes.value, steps.value, end.value), room.value * zoom.value),
  )
  /** The entry that Tab reaches, and the one that is described below the chart. */
  const current = useSignal<string | undefined>(undefined)
  const described = useSignal<Entry | undefined>(undefined)

  /** What is drawn, from left to right: what is visible, and as much on both sides. */
  const drawn = useSignal({ from: 0, to: 0 })
  const onScroll = () => {
    if (!scroll.current) return
    const { scrollLeft, clientWidth } = scroll.current
    const { from, to } = drawn.value
    if (from <= Math.max(0, scrollLeft - 100) && to >= scrollLeft + clientWidth + 100) return
    drawn.value = { from: scrollLeft - clientWidth, to: scrollLeft + 2 * clientWidth }
  }

  useEffect(() => {
    const element = scroll.current!
    const observer = new ResizeObserver(() => {
      const label = element.querySelector('.timeline-label')
      // Room for the last tick.
      room.value = element.clientWidth - (label?.clientWidth ?? 0) - 16
      onScroll()
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  function zoomBy(factor: number) {
    const element = scroll.current!
    const middle = (element.scrollLeft + element.clientWidth / 2) / element.scrollWidth
    zoom.value = Math.min(64, Math.max(1, zoom.value * factor))
    requestAnimationFrame(() => {
      element.scrollLeft = middle * element.scrollWidth - element.clientWidth / 2
    })
  }

  const titleOf = (id: string | undefined) =>
    id === undefined ? undefined : (plan.find(id)?.title ?? t('timelineDeleted'))
  const width = `${Math.ceil(scale.value.width)}px`
  return (
    <section class="timeline">
      <div class="timeline-tools">
        <span class="timeline-legend" aria-hidden="true">
          {OUTCOMES.map((outcome) => (
            <span key={outcome}>
              <i class={`timeline-sample is-${outcome}`}>{MARKS[outcome]}</i>
              {t(`outcome_${outcome}`)}
            </span>
          ))}
          <span>
            <i class="timeline-sample timeline-note" />
            {t('note')}
          </span>
        </span>
        <Zoom
          step={2}
          zoomBy={zoomBy}
          fit={() => {
            zoom.value = 1
          }}
        />
      </div>

      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms */}
      <div
        ref={scroll}
        class="timeline-scroll"
        role="group"
        aria-label={t('timelineLabel')}
        aria-describedby="timeline-hint"
        onKeyDown={onKeyDown}
        onScroll={onScroll}
      >
        <div class="timeline-body">
          <Row label="" kind="axis" width={width}>
            <Axis scale={scale.value} />
          </Row>
          <Row label={t('timelineProgress')} kind="progress" width={width} height={PLOT}>
            <Plot scale={scale.value} steps={steps.value} end={end.value} />
          </Row>
          {lanes.value.map((lane) => (
            <LaneRow
              key={`${lane.isWorker} ${lane.name}`}
              lane={lane}
              scale={scale.value}
              width={width}
              plan={plan}
              drawn={drawn}
              current={current}
              described={described}
              titleOf={titleOf}
            />
          ))}
        </div>
      </div>
      {lanes.value.length === 0 && (
        <p class="timeline-empty">{t(keepsEvents.value ? 'timelineEmpty' : 'noEvents')}</p>
      )}
      <Description entry={described} titleOf={titleOf} />
      <p id="timeline-hint" class="timeline-hint">
        {t('timelineHint')}
      </p>
      <Notes lanes={lanes.value} plan={plan} titleOf={titleOf} />
      <Log lanes={lanes.value} plan={plan} titleOf={titleOf} />
    </section>
  )
}

type Entry = { lane: Lane; span: Span; note?: undefined } | { lane: Lane; note: Note; span?: undefined }
type TitleOf = (id: string | undefined) => string | undefined

/** Until when the scale goes. While something runs, that grows in steps, so that the chart is not drawn again each second. */
function useEnd(lanes: ReadonlySignal<readonly Lane[]>): ReadonlySignal<number | undefined> {
  return useComputed(() => {
    const starts = lanes.value.flatMap(({ spans }) =>
      spans.filter(({ end }) => end === undefined).map((it) => it.start),
    )
    if (starts.length === 0) return undefined
    const first = Math.min(...lanes.value.flatMap(({ spans }) => spans.slice(0, 1).map(({ start }) => start)))
    const step = Math.max(5000, 10 ** Math.floor(Math.log10(Math.max(1, now.value - first))) / 20)
    return Math.ceil(now.value / step) * step
  })
}

/** When something happened. What is done without a lease may be left alone for days: only its start and end count. */
function intervalsOf(lanes: readonly Lane[], steps: readonly Step[], end: number | undefined): Interval[] {
  const moments = [...steps.map(({ at }) => at), ...lanes.flatMap(({ notes }) => notes.map(({ at }) => at))]
  for (const { isWorker, spans } of lanes)
    if (!isWorker) moments.push(...spans.flatMap(({ start, end: to }) => [start, to ?? end!]))
  const work = lanes
    .filter(({ isWorker }) => isWorker)
    .flatMap(({ spans }) => spans.map(({ start, end: to }): Interval => [start, to ?? end!]))
  return [...work, ...moments.map((at): Interval => [at, at])]
}

/** Left and right go to the neighbours in a row, up and down to the nearest entry of the row above and below. */
function onKeyDown(event: KeyboardEvent & { currentTarget: HTMLElement }) {
  const from = event.target as HTMLElement
  const row = from.closest('.timeline-lane')
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return
  const rows = [...event.currentTarget.querySelectorAll('.timeline-lane')]
  const entriesOf = (element: Element | undefined) =>
    [...(element?.querySelectorAll<HTMLElement>('button') ?? [])].sort((a, b) => a.offsetLeft - b.offsetLeft)
  const inRow = (step: number) => entriesOf(row)[entriesOf(row).indexOf(from) + step]
  const distance = (entry: HTMLElement) => Math.abs(entry.offsetLeft - from.offsetLeft)
  const beside = (step: number) =>
    entriesOf(rows[rows.indexOf(row) + step]).sort((a, b) => distance(a) - distance(b))[0]
  const next = {
    ArrowLeft: () => inRow(-1),
    ArrowRight: () => inRow(1),
    ArrowUp: () => beside(-1),
    ArrowDown: () => beside(1),
    Home: () => entriesOf(row)[0],
    End: () => entriesOf(row).at(-1),
  }[event.key]
  if (!next) return
  event.preventDefault()
  next()?.focus()
}

function Row({
  label,
  kind,
  width,
  height,
  children,
}: {
  label: ComponentChildren
  kind: 'axis' | 'progress' | 'lane'
  width: string
  height?: number
  children: ComponentChildren
}) {
  return (
    <div class={`timeline-row timeline-${kind}`}>
      <div class="timeline-label">{label}</div>
      <div class="timeline-track" style={{ width, height: height && `${height}px` }}>
        {children}
      </div>
    </div>
  )
}

const time = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const exact = new Intl.DateTimeFormat(language, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const day = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric' })

function Axis({ scale: { ticks, pauses } }: { scale: Scale }) {
  const hasSeconds = ticks.some(({ time }) => time % 60_000 !== 0)
  return (
    <>
      {ticks.map(({ x, time: at, isNewDay }) => (
        <span key={at} class="timeline-tick" style={{ left: `${x}px` }}>
          {isNewDay && <b>{day.format(at)}</b>} {(hasSeconds ? exact : time).format(at)}
        </span>
      ))}
      {pauses.map(({ x, width, duration }) => (
        <span key={x} class="timeline-pause" style={{ left: `${x}px`, width: `${width}px` }}>
          {durationOf(duration)}
        </span>
      ))}
    </>
  )
}

function Plot({
  scale: { x, width },
  steps,
  end,
}: {
  scale: Scale
  steps: readonly Step[]
  end: number | undefined
}) {
  const last = steps.at(-1)
  if (!last) return null
  const most = Math.max(1, ...steps.map(({ total }) => total))
  const y = (count: number) => (PLOT - 6) * (1 - count / most) + 4
  const line = (of: 'total' | 'completed') => {
    const [first, ...others] = steps
    const path = others.map((step) => `H${x(step.at).toFixed(1)}V${y(step[of]).toFixed(1)}`).join('')
    return `M${x(first!.at).toFixed(1)} ${y(first![of]).toFixed(1)}${path}H${x(end ?? last.at).toFixed(1)}`
  }
  return (
    <svg
      class="timeline-plot"
      width={Math.ceil(width)}
      height={PLOT}
      role="img"
      aria-label={t('timelineProgressLabel', { total: last.total, completed: last.completed })}
    >
      <path class="plot-area" d={`${line('completed')}V${y(0)}H${x(steps[0]!.at).toFixed(1)}Z`} />
      <path class="plot-completed" d={line('completed')} />
      <path class="plot-total" d={line('total')} />
    </svg>
  )
}

interface LaneProps {
  lane: Lane
  scale: Scale
  drawn: ReadonlySignal<{ from: number; to: number }>
  plan: Plan
  current: Signal<string | undefined>
  described: Signal<Entry | undefined>
  titleOf: TitleOf
}

function LaneRow({ width, ...props }: LaneProps & { width: string }) {
  const { lane, scale, drawn, current } = props
  const rows = rowsOf(lane.spans)
  const height = ROW * Math.max(1, ...rows.map((row) => row + 1)) + 12
  const isDrawn = (start: number, end: number) =>
    scale.x(end) >= drawn.value.from && scale.x(start) <= drawn.value.to
  const spans = lane.spans.map((span, i) => ({ span, row: rows[i]!, key: `${span.task} ${span.start}` }))
  // The entry with the focus stays also when it is scrolled away.
  const inView = spans.filter(
    ({ span, key }) => isDrawn(span.start, span.end ?? Infinity) || key === current.value,
  )
  const keys = new Set(
    useGradually(
      inView.map(({ key }) => key),
      PER_FRAME,
    ),
  )
  // With each event everything is computed again, and almost all bars are as they were: Preact skips a node that is the same.
  const known = useRef(new Map<string, { look: string; bar: VNode }>())
  const next = new Map<string, { look: string; bar: VNode }>()
  useEffect(() => {
    known.current = next
  })
  const barOf = ({ span, row, key }: (typeof spans)[number]) => {
    const { start, end, outcome, task } = span
    // One that runs grows by itself, on this scale.
    const to = scale.x(end ?? Infinity)
    const look = [scale.x(start), to, row, outcome, props.titleOf(task)].join('|')
    const before = known.current.get(key)
    const bar =
      before?.look === look ? before.bar : <Bar key={key} {...props} id={key} span={span} row={row} />
    next.set(key, { look, bar })
    return bar
  }
  const label = (
    <>
      <span title={lane.name}>{lane.name}</span>
      {!lane.isWorker && <small>{t('timelineByHand')}</small>}
    </>
  )
  return (
    <Row label={label} kind="lane" width={width} height={height}>
      {inView.filter(({ key }) => keys.has(key)).map(barOf)}
      {lane.notes
        .filter(({ id, at }) => isDrawn(at, at) || id === current.value)
        .map((note) => (
          <Marker key={note.id} {...props} note={note} />
        ))}
    </Row>
  )
}

/** Most work on one task at a time. Who does not has several rows. */
function rowsOf(spans: readonly Span[]): number[] {
  const ends: number[] = []
  return spans.map(({ start, end = Infinity }) => {
    const free = ends.findIndex((it) => it <= start)
    const row = free < 0 ? ends.length : free
    ends[row] = end
    return row
  })
}

/** What an entry of the chart does, be it work or a note. */
function useEntry(entry: Entry, key: string, { plan, current, described }: LaneProps) {
  current.value ??= key
  const isCurrent = useComputed(() => current.value === key)
  const task = entry.span?.task ?? entry.note?.task
  const describe = () => {
    described.value = entry
  }
  return {
    type: 'button' as const,
    tabIndex: isCurrent.value ? 0 : -1,
    'data-task': task,
    onPointerEnter: describe,
    onFocus: () => {
      current.value = key
      describe()
    },
    onClick: () => {
      plan.selected.value = task
    },
  }
}

function Bar({ id, span, row, ...props }: LaneProps & { id: string; span: Span; row: number }) {
  const { lane, scale, plan, titleOf } = props
  const entry = useEntry({ lane, span }, id, props)
  const isSelected = useComputed(() => plan.selected.value === span.task)
  const left = scale.x(span.start)
  const width = Math.max(8, scale.x(span.end ?? now.value) - left)
  const title = titleOf(span.task)
  return (
    <button
      {...entry}
      class={`timeline-bar is-${span.outcome}`}
      style={{ left: `${left}px`, width: `${width}px`, top: `${row * ROW + 8}px` }}
      aria-label={[title, t(`outcome_${span.outcome}`), moment(new Date(span.start).toISOString())].join(
        ', ',
      )}
      aria-pressed={isSelected.value}
    >
      {width > 20 && <i aria-hidden="true">{MARKS[span.outcome]}</i>}
      {width > 52 && <span>{title}</span>}
    </button>
  )
}

function Marker({ note, ...props }: LaneProps & { note: Note }) {
  const entry = useEntry({ lane: props.lane, note }, note.id, props)
  return (
    <button
      {...entry}
      class="timeline-note"
      style={{ left: `${props.scale.x(note.at)}px` }}
      aria-label={`${t('note')}: ${note.text}`}
    />
  )
}

/** What is under the pointer or has the focus. The name of the entry says the same to screen readers. */
function Description({
  entry: { value },
  titleOf,
}: {
  entry: ReadonlySignal<Entry | undefined>
  titleOf: TitleOf
}) {
  if (!value) return <p class="timeline-description" aria-hidden="true" />
  const { lane, span, note } = value
  return (
    <p class="timeline-description" aria-hidden="true">
      <strong>{titleOf((span ?? note).task)}</strong>
      {span ? (
        <span>
          {lane.name} · {t(`outcome_${span.outcome}`)} · {exact.format(span.start)}
          {span.end !== undefined && ` – ${exact.format(span.end)} (${durationOf(span.end - span.start)})`}
        </span>
      ) : (
        <span>
          {note.author} · {exact.format(note.at)} · {note.text}
        </span>
      )}
    </p>
  )
}

function Notes({ lanes, plan, titleOf }: { lanes: readonly Lane[]; plan: Plan; titleOf: TitleOf }) {
  const limit = useSignal(PAGE)
  const notes = lanes.flatMap((lane) => lane.notes).sort((a, b) => b.id.localeCompare(a.id))
  if (notes.length === 0) return null
  return (
    <section class="timeline-notes">
      <h2>{t('timelineNotes')}</h2>
      <ol>
        {notes.slice(0, limit.value).map(({ id, at, author, task, text }) => (
          <li key={id}>
            <p class="timeline-note-head">
              <strong>{author}</strong>
              <time dateTime={new Date(at).toISOString()}>{moment(new Date(at).toISOString())}</time>
              {task && <TaskLink id={task} plan={plan} titleOf={titleOf} />}
            </p>
            <p class="timeline-note-text">{text}</p>
          </li>
        ))}
      </ol>
      <More count={notes.length} limit={limit} />
    </section>
  )
}

function Log({ lanes, plan, titleOf }: { lanes: readonly Lane[]; plan: Plan; titleOf: TitleOf }) {
  const limit = useSignal(PAGE)
  const spans = lanes
    .flatMap((lane) => lane.spans.map((span) => ({ lane, span })))
    .sort((a, b) => b.span.start - a.span.start)
  if (spans.length === 0) return null
  return (
    <section class="timeline-log">
      <h2 id="timeline-log">{t('timelineLog')}</h2>
      <table aria-labelledby="timeline-log">
        <thead>
          <tr>
            <th scope="col">{t('timelineFrom')}</th>
            <th scope="col">{t('timelineWorker')}</th>
            <th scope="col">{t('task')}</th>
            <th scope="col">{t('timelineOutcome')}</th>
            <th scope="col">{t('timelineDuration')}</th>
          </tr>
        </thead>
        <tbody>
          {spans.slice(0, limit.value).map(({ lane, span }) => (
            <tr key={`${span.task} ${span.start}`}>
              <td>{moment(new Date(span.start).toISOString())}</td>
              <td>{lane.name}</td>
              <td>
                <TaskLink id={span.task} plan={plan} titleOf={titleOf} />
              </td>
              <td>
                <span class={`timeline-outcome is-${span.outcome}`}>
                  {MARKS[span.outcome]} {t(`outcome_${span.outcome}`)}
                </span>
              </td>
              <td class="timeline-duration">
                {span.end === undefined ? <Running since={span.start} /> : durationOf(span.end - span.start)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <More count={spans.length} limit={limit} />
    </section>
  )
}

const Running = ({ since }: { since: number }) => <>{durationOf(now.value - since)}</>

function TaskLink({ id, plan, titleOf }: { id: string; plan: Plan; titleOf: TitleOf }) {
  const task: Task | undefined = plan.find(id)
  if (!task) return <>{titleOf(id)}</>
  return (
    <button
      type="button"
      class="timeline-link"
      onClick={() => {
        plan.selected.value = id
      }}
    >
      {task.title}
    </button>
  )
}

function More({ count, limit }: { count: number; limit: Signal<number> }) {
  if (count <= limit.value) return null
  return (
    <button
      type="button"
      onClick={() => {
        limit.value += 100
      }}
    >
      {t('showMore', { n: count - limit.value })}
    </button>
  )
}

const durationIn = (unit: string, length: number) => ({
  length,
  format: new Intl.NumberFormat(language, {
    style: 'unit',
    unit,
    unitDisplay: 'short',
    maximumSignificantDigits: 2,
  }),
})
const UNITS = [
  durationIn('day', 86_400_000),
  durationIn('hour', 3_600_000),
  durationIn('minute', 60_000),
  durationIn('second', 1000),
]

/** As `1.5 hr`: two digits are enough. */
function durationOf(milliseconds: number): string {
  const { length, format } = UNITS.find(({ length }) => milliseconds >= length) ?? UNITS.at(-1)!
  return format.format(milliseconds / length)
}
