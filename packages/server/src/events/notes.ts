/** Rejects notes where there are no events to keep them in. */
import type { FastifyInstance } from 'fastify'
import { MAX_ERRORS, validationError } from '../http/problem.js'

interface Noted {
  note?: unknown
}
type Body = Noted & { tasks?: Noted[]; done?: Noted }

/** For a service that keeps no events: a request with a note returns 422, so that no caller believes that it is kept. */
export function rejectNotes(api: FastifyInstance) {
  api.addHook('preHandler', (request, _reply, done) => {
    const body = request.body as Body | null | undefined
    const parts: [path: string, part: Noted | undefined][] = [
      ['note', body ?? undefined],
      ['done.note', body?.done],
      ...(body?.tasks ?? []).map((task, nth): [string, Noted] => [`tasks[${nth}].note`, task]),
    ]
    const errors = parts
      .filter(([, part]) => part?.note !== undefined)
      .map(([path]) => ({ in: 'body' as const, path, message: NOT_KEPT }))
    done(errors.length > 0 ? validationError(errors.slice(0, MAX_ERRORS), errors.length) : undefined)
  })
}

const NOT_KEPT = 'must be omitted: this service keeps no events (EVENT_DAYS=0), and so no notes'
