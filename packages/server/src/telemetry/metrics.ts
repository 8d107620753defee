/**
 * What the service counts of itself. Every request adds to it, so these are plain numbers that know nothing of
 * Prometheus; telemetry/prometheus.ts tells them to those who ask.
 */

/** Upper bounds for the time that requests take, in seconds: from the read of a row to beyond anybody's patience. */
export const TIME_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** The requests to one route by one method. */
interface RouteCounts {
  route: string
  method: string
  /** How many were answered, by status. */
  statuses: Map<number, number>
  /** How many took up to each of the {@link TIME_BOUNDS} and longer than the one before; the last: longer than all. */
  times: number[]
  /** How long they took together. */
  seconds: number
}

export class Metrics {
  tasksCreated = 0
  /** Tasks that became completed, or were created so. */
  tasksCompleted = 0
  /** Creates that were answered with the answer of an earlier one. */
  replays = 0
  readonly #routes = new Map<string | undefined, Map<string, RouteCounts>>()

  /** Counts a request that was answered. Without a route, its path was unknown. */
  answered(route: string | undefined, method: string, status: number, milliseconds: number) {
    const counts = this.#routes.get(route)?.get(method) ?? this.#add(route, method)
    counts.statuses.set(status, (counts.statuses.get(status) ?? 0) + 1)
    const seconds = milliseconds / 1000
    let i = 0
    while (i < TIME_BOUNDS.length && seconds > TIME_BOUNDS[i]!) i++
    counts.times[i]!++
    counts.seconds += seconds
  }

  /** Counts what a create did: its tasks came to be, or an earlier answer was repeated. */
  created(outcome: 'created' | 'replayed', tasks: { status: string }[]) {
    if (outcome === 'replayed') {
      this.replays++
      return
    }
    this.tasksCreated += tasks.length
    for (const { status } of tasks) if (status === 'completed') this.tasksCompleted++
  }

  /** The counts of every route that was asked for. */
  get routes(): RouteCounts[] {
    // Methods that are called the same share their counts.
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

/** What a method is called: the unusual ones, of which a stranger may send dozens, all the same, as OpenTelemetry does. */
export const methodName = (method: string) => (usualMethods.has(method) ? method : '_OTHER')
