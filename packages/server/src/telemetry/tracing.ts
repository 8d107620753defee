/**
 * Traces with OpenTelemetry: a span for each request, in the trace of its caller if it has one, and below it one for its
 * work at the database. Names are those of OpenTelemetry's semantic conventions. Only loaded where traces are wanted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { pathOf } from './logging.js'
import { methodName } from './metrics.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** The span of the request, where there are traces. */
    span?: Span
  }
}

const SERVICE = 'aklp-task-service'
/** How many milliseconds the last spans have to reach the collector when the service stops. */
const FLUSH_TIME = 2000

export interface TracingOptions {
  /** The base URL of a collector that takes OTLP over HTTP. */
  endpoint: string
  /** The version of the service. */
  version: string
  logger: FastifyBaseLogger
  /** The kind of failure that an error is, or undefined when it is a response and no failure. */
  errorType: (error: unknown) => string | undefined
  /** Whether a request is not traced: one of a machine that asks every few seconds. */
  ignore: (request: FastifyRequest) => boolean
}

export type Tracing = ReturnType<typeof createTracing>

export function createTracing({ endpoint, version, logger, errorType, ignore }: TracingOptions) {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': SERVICE, 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor({ exporter: createExporter(endpoint, logger) })],
  })
  const tracer = provider.getTracer(SERVICE, version)
  const propagator = new W3CTraceContextPropagator()

  const begin = (request: FastifyRequest) => {
    const route = request.routeOptions.url
    const method = methodName(request.method)
    const called = method === '_OTHER' ? 'HTTP' : method
    return tracer.startSpan(
      route === undefined ? called : `${called} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'url.path': pathOf(request),
          'url.scheme': request.protocol,
          'network.protocol.version': request.raw.httpVersion,
        },
      },
      propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter),
    )
  }

  return {
    /** Gives a span to every request. Registered before all other hooks. */
    requests: fp(
      async (app: FastifyInstance) => {
        app.decorateRequest('span')
        app.addHook('onRequest', (request, reply, done) => {
          if (ignore(request)) return done()
          const span = begin(request)
          request.span = span
          // Also if the client disconnects before the response.
          reply.raw.once('close', () => {
            const { statusCode } = reply
            if (reply.raw.headersSent) span.setAttribute('http.response.status_code', statusCode)
            if (statusCode >= 500) fail(span, String(statusCode))
            span.end()
          })
          done()
        })
        app.addHook('onClose', async () => {
          await Promise.race([provider.shutdown(), sleep(FLUSH_TIME, undefined, { ref: false })]).catch(
            () => {},
          )
        })
      },
      { name: 'tracing' },
    ),

    /** Gives a span to the work of a request at the database. */
    async database<T>(request: FastifyRequest, work: () => Promise<T>): Promise<T> {
      const { schema } = request.routeOptions
      const span = tracer.startSpan(
        `postgresql ${schema?.operationId}`,
        { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'postgresql' } },
        trace.setSpan(ROOT_CONTEXT, request.span!),
      )
      try {
        return await work()
      } catch (error) {
        const type = errorType(error)
        if (type !== undefined) fail(span, type)
        throw error
      } finally {
        span.end()
      }
    },
  }
}

function fail(span: Span, type: string) {
  span.setAttribute('error.type', type)
  span.setStatus({ code: SpanStatusCode.ERROR })
}

/** Sends spans to the collector. Those that it does not take are lost, which is logged once until it takes some again. */
function createExporter(endpoint: string, logger: FastifyBaseLogger): SpanExporter {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` })
  let works = true
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const succeeds = result.code === ExportResultCode.SUCCESS
        if (works && !succeeds) logger.warn({ cause: result.error?.message }, 'traces cannot be sent')
        if (!works && succeeds) logger.info('traces can be sent again')
        works = succeeds
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
}
