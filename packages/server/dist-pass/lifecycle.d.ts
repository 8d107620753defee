import type { FastifyInstance } from 'fastify';
/**
 * Answers a request that is not finished in time, database included. Fastify's own `handlerTimeout` forgets the time
 * once a body has been read.
 */
export declare function boundRequests(app: FastifyInstance, milliseconds: number): void;
/** At shutdown, connections end with the answer in flight on them, and those on which nothing was asked yet at once. */
export declare function closePromptly(app: FastifyInstance): void;
//# sourceMappingURL=lifecycle.d.ts.map