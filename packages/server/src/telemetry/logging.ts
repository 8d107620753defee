/** Structured logs: one line for each request, without bodies, queries or secrets. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { type LevelWithSilent, pino } from 'pino'
import type { Metrics } from './metrics.js'

export interface LoggerOptions {
  /** The lowest level that is logged. */
  level: LevelWithSilent
  /** `pretty` on a terminal and `json` elsewhere, unless given. */
  format?: 'json' | 'pretty'
}

export async function createLogger({ level, format }: LoggerOptions) {
  const pretty = format === undefined ? process.stdout.isTTY : format === 'pretty'
  if (!pretty) {
    // Lines are written in batches: one write for each would take longer than formatting it.
    const output = pino.destination({ sync: true, minLength: 4096, periodicFlush: 100 })
    process.once('exit', () => output.flush())
    return pino({ level }, output)
  }
  const { default: pinoPretty } = await import('pino-pretty')
  const lines = { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true }
  return pino({ level }, pinoPretty(lines))
}

/** For an application without logs. Without any logger, Fastify would not call `requestCompleted`, which counts requests. */
export const silentLogger = pino({ level: 'silent' })

/** The path of a request, without its query. */
export const pathOf = (request: FastifyRequest) => request.url.split(/[?#]/, 1)[0]!

/** Logs one line for each request instead of Fastify's two, and counts it. Errors are logged where they are handled. */
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
