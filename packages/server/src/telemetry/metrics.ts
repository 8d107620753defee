/**
 * Counters of the service. Every request adds to them, so they are plain numbers: prom-client's own histogram takes 0.8 µs
 * for each request and 60 ms to load at start. telemetry/prometheus.ts reads them when /metrics is requested.
 */

/** Upper bounds of the histogram's buckets, in seconds. */
export const TIME_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Counts of one route and method. */
interface RouteCounts {
  route: string
  method: string
  /** Responses by status. */
  statuses: Map<number, number>
  /** Responses by duration: one count for each of the {@link TIME_BOUNDS}, and one for longer ones. Not cumulative. */
  times: number[]
  /** The sum of the durations. */
  seconds: number
}

/** What a claim has done: how many tasks it claimed, took over from an expired lease, and completed. */
interface ClaimCounts {
  outcome: 'created' | 'replayed'
  claimed?: number
  tookOver?: number
  completed?: number
}

export class Metrics {
  tasksCreated = 0
  /** Tasks that became completed or were created as completed. */
  tasksCompleted = 0
  /** Creates that returned the stored response of an earlier one with the same Idempotency-Key. */
  replays = 0
  /** Tasks that were claimed. */
  claims = 0
  /** Claims of a task whose lease had expired. */
  leasesExpired = 0
  readonly #routes = new Map<string | undefined, Map<string, RouteCounts>>()

  /** Counts a response. Without a route, the path was unknown. */
  answered(route: string | undefined, method: string, status: number, milliseconds: number) {
    const counts = this.#routes.get(route)?.get(method) ?? this.#add(route, method)
    counts.statuses.set(status, (counts.statuses.get(status) ?? 0) + 1)
    const seconds = milliseconds / 1000
    let i = 0
    while (i < TIME_BOUNDS.length && seconds > TIME_BOUNDS[i]!) i++
    counts.times[i]!++
    counts.seconds += seconds
  }

  /** Counts a create, by its outcome. */
  created(outcome: 'created' | 'replayed', tasks: readonly { status: string }[]) {
    if (outcome === 'replayed') {
      this.replays++
      return
    }
    this.tasksCreated += tasks.length
    for (const { status } of tasks) if (status === 'completed') this.tasksCompleted++
  }

  /** Counts a claim, by its outcome. */
  claimed({ outcome, claimed = 0, tookOver = 0, completed = 0 }: ClaimCounts) {
    if (outcome === 'replayed') {
      this.replays++
      return
    }
    this.claims += claimed
    this.leasesExpired += tookOver
    this.tasksCompleted += completed
  }

  /** The counts of every route that was requested. */
  get routes(): RouteCounts[] {
    // Methods with the same name share their counts.
    return [...new Set([...this.#routes.values()].flatMap((methods) => [...methods.values()]))]
  }

  #add(route: string | undefined, method: string): RouteCounts {
    const methods = this.#routes.get(route) ?? new Map<string, RouteCounts>()
    this.#routes.set(route, methods)
    const name = methodName(method)
    const counts = methods.get(name) ?? {
      route: route ?? 'unknown',
      method: name,
      statuses: new Map(),
      times: new Array(TIME_BOUNDS.length + 1).fill(0),
      seconds: 0,
    }
    methods.set(name, counts)
    methods.set(method, counts)
    return counts
  }
}

const usualMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The method as a label. Unusual ones are all `_OTHER`, as in OpenTelemetry: callers must not be able to add labels. */
export const methodName = (method: string) => (usualMethods.has(method) ? method : '_OTHER')
