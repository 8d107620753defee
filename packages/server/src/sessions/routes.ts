/** The operations on sessions over HTTP. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { needsScan } from '../http/admission.js'
import { commonProblems, problems } from '../http/problem.js'
import { oneOf, success } from '../http/schemas.js'
import { SessionFieldsState, SessionParams, SessionQuery, SessionState } from './schemas.js'
import type { SessionStore } from './store.js'

export const sessionRoutes: FastifyPluginAsyncTypebox<{ store: SessionStore }> = async (app, { store }) => {
  app.get(
    '/:session_id',
    {
      // A function, because the handler may ask for more.
      config: { load: () => 'ordinary' },
      schema: {
        operationId: 'getSession',
        tags: ['sessions'],
        summary: 'Get the state of a session',
        description:
          'Returns where things stand: the progress, the next task, the tasks in progress, what was completed last, and the last notes. The one call to make after an agent has lost its context.',
        params: SessionParams,
        querystring: SessionQuery,
        response: {
          200: success('The state of the session.', oneOf(SessionState, SessionFieldsState)),
          ...problems(...commonProblems),
        },
      },
    },
    async (request) => {
      const { caller, params, query, load } = request
      const get = load === 'scan' ? store.get : store.getSmall
      return (await get(caller, params.session_id, query)) ?? needsScan(request)
    },
  )
}
