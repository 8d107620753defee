/** Structured logs: one line a request, without bodies, queries or secrets. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { pino } from 'pino'
import type { Config } from './config.js'

export async function createLogger({ LOG_LEVEL: level, LOG_FORMAT }: Config) {
  const pretty = LOG_FORMAT === undefined ? process.stdout.isTTY : LOG_FORMAT === 'pretty'
  // Lines are written together: a write for each would take longer than all else that is done to make it.
  if (!pretty) return pino({ level }, pino.destination({ sync: false, minLength: 4096, periodicFlush: 100 }))
  const { default: pinoPretty } = await import('pino-pretty')
  const lines = { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true }
  return pino({ level }, pinoPretty(lines))
}

/** The path of a request, without its query. */
export const pathOf = (request: FastifyRequest) => request.url.split(/[?#]/, 1)[0]!

/** Replaces Fastify's two lines a request by one; what a failure was is logged where it is handled. */
export class RequestLog extends LogController {
  constructor() {
    super({ requestIdLogLabel: 'request_id', disableRequestLogging: true })
  }

  override requestCompleted(_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply) {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? null,
        path: pathOf(request),
        caller: request.caller?.name,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      'request',
    )
  }
}
