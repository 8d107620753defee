/** Structured logs: one line a request, without bodies, queries or secrets. */
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { pino } from 'pino';
import type { Config } from './config.js';
export declare function createLogger({ LOG_LEVEL: level, LOG_FORMAT }: Config): Promise<pino.Logger<never, boolean>>;
/** The path of a request, without its query. */
export declare const pathOf: (request: FastifyRequest) => string;
/** Replaces Fastify's two lines a request by one; what a failure was is logged where it is handled. */
export declare class RequestLog extends LogController {
    constructor();
    requestCompleted(_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void;
}
//# sourceMappingURL=logging.d.ts.map