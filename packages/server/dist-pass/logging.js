/** Structured logs: one line a request, without bodies, queries or secrets. */
import { LogController } from 'fastify';
import { pino } from 'pino';
export async function createLogger({ LOG_LEVEL: level, LOG_FORMAT }) {
    const pretty = LOG_FORMAT === undefined ? process.stdout.isTTY : LOG_FORMAT === 'pretty';
    if (!pretty)
        return pino({ level });
    const { default: pinoPretty } = await import('pino-pretty');
    const lines = { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true };
    return pino({ level }, pinoPretty(lines));
}
/** The path of a request, without its query. */
export const pathOf = (request) => request.url.split(/[?#]/, 1)[0];
/** Replaces Fastify's two lines a request by one; what a failure was is logged where it is handled. */
export class RequestLog extends LogController {
    constructor() {
        super({ requestIdLogLabel: 'request_id', disableRequestLogging: true });
    }
    requestCompleted(_error, request, reply) {
        request.log.info({
            method: request.method,
            route: request.routeOptions.url ?? null,
            path: pathOf(request),
            status: reply.statusCode,
            ms: Math.round(reply.elapsedTime * 10) / 10,
        }, 'request');
    }
}
//# sourceMappingURL=logging.js.map