/** The operations on events over HTTP. */
import type { ServerResponse } from 'node:http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { jsonArray, jsonObject, toJson } from '../db/json.js'
import type { Load } from '../http/admission.js'
import { onOver } from '../http/pipelining.js'
import { ApiError, commonProblems, problems } from '../http/problem.js'
import { ref, success } from '../http/schemas.js'
import {
  type EventFeed,
  EventsExpired,
  type Follower,
  type Found,
  type Page,
  type Place,
  type Reader,
} from './feed.js'
import { EventListQuery, EventPage, MAX_WAIT } from './schemas.js'

export interface EventRoutesOptions {
  feed: EventFeed
  follower: Follower
  /** Whether events are kept. */
  areKept: boolean
  /** Runs a read when there is a place at the database for it. */
  admit: <T>(load: 'ordinary' | 'scan', read: () => Promise<T>) => Promise<T>
}

/** Milliseconds that a request may take besides its wait. */
const MARGIN = 15_000

export const eventRoutes: FastifyPluginAsyncTypebox<EventRoutesOptions> = async (
  app,
  { feed, follower, areKept, admit },
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
      const until = performance.now() + query.wait * 1000
      let { after } = query
      let page: Page
      for (;;) {
        const read = () => feed.read(caller, { ...query, after }).catch(explain)
        // Without a wait, the whole request has been admitted.
        page = await (query.wait === 0 ? read() : admit(loadOfEvents(request), read))
        after = page.next!
        const left = until - performance.now()
        // Before others, no event is ever added.
        if (page.items.length > 0 || left <= 0 || query.order === 'desc') break
        const came = await waitFor(follower, after, { caller, filters: query }, left, reply.raw)
        if (came === 'end') break
        if (came === 'read') continue
        // Not read again: an event can end the waits of many.
        page.items = came.slice(0, query.limit)
        page.next = page.items.at(-1)!.id
        break
      }
      const { items, next } = page
      return jsonObject<EventPage>({ items: jsonArray(items.map(({ json }) => json)), next: toJson(next) })
    },
  )
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
