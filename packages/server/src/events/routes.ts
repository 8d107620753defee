/** The operations on events over HTTP. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { jsonArray, jsonObject, toJson } from '../db/json.js'
import type { Load } from '../http/admission.js'
import type { Caller } from '../http/caller.js'
import { onOver } from '../http/pipelining.js'
import { ApiError, commonProblems, problems } from '../http/problem.js'
import { ref, responseHeaders, success } from '../http/schemas.js'
import { type EventFeed, EventsExpired, type Found, type Page, type Place } from './feed.js'
import type { Follower, Reader } from './follower.js'
import { EventListQuery, EventPage, EventStreamHeaders, EventStreamQuery, MAX_WAIT } from './schemas.js'
import { EventStream } from './stream.js'

export interface EventRoutesOptions {
  feed: EventFeed
  follower: Follower
  /** Whether events are kept. */
  areKept: boolean
  /** Runs a read when there is a place at the database for it. */
  admit: <T>(load: 'ordinary' | 'scan', read: () => Promise<T>) => Promise<T>
  /** Milliseconds between two comments of a stream; 15 000 by default. */
  heartbeat?: number | undefined
}

/** Milliseconds that a request may take besides its wait. */
const MARGIN = 15_000

/** Most events of a page that a stream reads, and most bytes of their changes: it sends a page at once. */
const PAGE = 100
const PAGE_BYTES = 64 * 1024

/** The response of a stream, in the OpenAPI document. */
const stream = {
  description: 'Events, until the connection ends.',
  headers: responseHeaders,
  content: {
    'text/event-stream': {
      schema: Type.String({
        examples: [
          `id: 000000000a3f000000000012\nevent: task.updated\ndata: {"id":"000000000a3f000000000012","type":"task.updated", …}\n\n`,
        ],
      }),
    },
  },
}

export const eventRoutes: FastifyPluginAsyncTypebox<EventRoutesOptions> = async (
  app,
  { feed, follower, areKept, admit, heartbeat = 15_000 },
) => {
  app.addHook('preClose', async () => follower.close())

  app.get(
    '',
    {
      config: { load: loadNow, deadline: MAX_WAIT * 1000 + MARGIN },
      schema: {
        operationId: 'listEvents',
        tags: ['events'],
        summary: 'List events',
        description:
          'Returns what happened, oldest first. To follow what happens, send `next` of each page as `after` of the next request, with `wait`: no event is missed or comes twice. A change that is committed while an older transaction is open appears when that one ends. Events are kept for `EVENT_DAYS` (30).',
        querystring: EventListQuery,
        response: {
          200: success('One page of events.', ref(EventPage)),
          ...problems('events_off', 'events_expired', ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      const { caller, query } = request
      if (!areKept) throw new ApiError('events_off')
      // Without a wait, the whole request has been admitted.
      if (query.wait === 0) return toPage(await feed.read(caller, query).catch(explain))
      const leave = follower.places.enter(caller)
      try {
        return toPage(await readOrWait(caller, query, loadOfEvents(request), reply.raw))
      } finally {
        leave()
      }
    },
  )

  /** A page with events, or an empty one after the wait. */
  async function readOrWait(
    caller: Caller,
    query: EventListQuery,
    load: 'ordinary' | 'scan',
    response: ServerResponse,
  ): Promise<Page> {
    const until = performance.now() + query.wait * 1000
    let { after } = query
    for (;;) {
      const read = () => feed.read(caller, { ...query, after }).catch(explain)
      const page = await admit(load, read)
      after = page.next!
      const left = until - performance.now()
      // Before others, no event is ever added.
      if (page.items.length > 0 || left <= 0 || query.order === 'desc') return page
      const came = await waitFor(follower, after, { caller, filters: query }, left, response)
      if (came === 'end') return page
      if (came === 'read') continue
      // Not read again: an event can end the waits of many.
      const items = came.slice(0, query.limit)
      return { items, next: items.at(-1)!.id }
    }
  }

  app.get(
    '/stream',
    {
      config: { load: 'none', deadline: false },
      exposeHeadRoute: false,
      schema: {
        operationId: 'streamEvents',
        tags: ['events'],
        summary: 'Stream events',
        description:
          'Sends events as they happen, within half a second, until the client disconnects, its token expires or the service stops: then connect again, with the last `id` in the header `Last-Event-ID`. Without it and without `after`, begins with what happens next. Each event has an `id`, its type as `event`, and the JSON of an Event as `data`. A comment is sent every 15 seconds. A client that leaves events unread for 10 seconds is disconnected. For `curl`: `curl -N`.',
        querystring: EventStreamQuery,
        headers: EventStreamHeaders,
        response: {
          200: stream,
          ...problems('events_off', 'events_expired', ...commonProblems),
        },
      },
    },
    async (request, reply) => {
      if (!areKept) throw new ApiError('events_off')
      const { caller, query: filters, headers } = request
      const leave = follower.places.enter(caller)
      onOver(reply.raw, leave)
      const read = (after: Place) =>
        admit(loadOfEvents(request), () =>
          feed.read(caller, { ...filters, after, limit: PAGE, order: 'asc' }, PAGE_BYTES).catch(explain),
        )
      const after = headers['last-event-id'] ?? filters.after
      // Whatever prevents the stream is an error response.
      const first = after === undefined ? undefined : await read(after)
      const place = after ?? (await follower.begin(() => admit('ordinary', feed.end)))
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, { ...reply.getHeaders(), ...STREAM_HEADERS } as OutgoingHttpHeaders)
      const { countUnread } = app
      const { until } = caller
      const options = { caller, filters, follower, read, countUnread, until, heartbeat }
      await new EventStream(raw, place, options).run(first)
    },
  )
}

const toPage = ({ items, next }: Page) =>
  jsonObject<EventPage>({ items: jsonArray(items.map(({ json }) => json)), next: toJson(next) })

const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // nginx would collect the response.
  'x-accel-buffering': 'no',
  connection: 'close',
}

/**
 * Waits for events; `read` if some were delivered to others already, `end` at the end of the wait, of the connection or of
 * the service.
 */
function waitFor(
  follower: Follower,
  after: Place,
  reader: Pick<Reader, 'caller' | 'filters'>,
  milliseconds: number,
  response: ServerResponse,
): Promise<Found[] | 'read' | 'end'> {
  return new Promise((resolve) => {
    const over = (outcome: Found[] | 'read' | 'end') => {
      clearTimeout(timer)
      leave?.()
      resolve(outcome)
    }
    const end = () => over('end')
    const timer = setTimeout(end, milliseconds)
    const leave = follower.follow(after, { ...reader, receive: over, end })
    if (leave === undefined) return over('read')
    onOver(response, end)
  })
}

/** A request that waits is admitted whenever it reads. */
const loadNow = (request: FastifyRequest): Load =>
  Number((request.query as { wait?: unknown }).wait ?? 0) > 0 ? 'none' : loadOfEvents(request)

/** A filter that no index serves can read the whole table. */
function loadOfEvents({ query, caller }: FastifyRequest): 'ordinary' | 'scan' {
  // Not validated yet when admission looks for the first time.
  const { session_id, batch_id, task_id, types } = query as Record<string, unknown>
  if ((session_id ?? batch_id ?? task_id) !== undefined) return 'ordinary'
  return types === undefined && caller.sessions === undefined ? 'ordinary' : 'scan'
}

function explain(error: unknown): never {
  throw error instanceof EventsExpired ? new ApiError('events_expired') : error
}
