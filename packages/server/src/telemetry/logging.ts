/** Structured logs: one line a request, without bodies, queries or secrets. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { pino } from 'pino'
import type { Config } from '../start/config.js'
import type { Metrics } from './metrics.js'

export async function createLogger({ LOG_LEVEL: level, LOG_FORMAT }: Config) {
  const pretty = LOG_FORMAT === undefined ? process.stdout.isTTY : LOG_FORMAT === 'pretty'
  if (!pretty) {
    // Lines are written together: a write for each would take longer than all else that is done to make it.
    const output = pino.destination({ sync: true, minLength: 4096, periodicFlush: 100 })
    process.once('exit', () => output.flush())
    return pino({ level }, output)
  }
  const { default: pinoPretty } = await import('pino-pretty')
  const lines = { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true }
  return pino({ level }, pinoPretty(lines))
}

/** For an application that logs nowhere: without any logger, Fastify would not tell when a request is answered. */
export const silentLogger = pino({ level: 'silent' })

/** The path of a request, without its query. */
export const pathOf = (request: FastifyRequest) => request.url.split(/[?#]/, 1)[0]!

/** Replaces Fastify's two lines a request by one, and counts it; what a failure was is logged where it is handled. */
export class RequestLog extends LogController {
  constructor(readonly metrics: Metrics) {
    super({ requestIdLogLabel: 'request_id', disableRequestLogging: true })
  }

  override requestCompleted(_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply) {
    const route = request.routeOptions.url
    const { elapsedTime, statusCode } = reply
    this.metrics.answered(route, request.method, statusCode, elapsedTime)
    request.log.info(
      {
        method: request.method,
        route: route ?? null,
        path: pathOf(request),
        caller: request.caller?.name,
        trace_id: request.span?.spanContext().traceId,
        status: statusCode,
        ms: Math.round(elapsedTime * 10) / 10,
      },
      'request',
    )
  }
}
