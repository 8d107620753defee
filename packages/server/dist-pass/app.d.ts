import { type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { type Caller } from './access/caller.js';
import type { Config } from './config.js';
import type { Database } from './db/database.js';
declare module 'fastify' {
    interface FastifyRequest {
        caller: Caller;
    }
}
export interface AppOptions {
    database: Pick<Database, 'db' | 'ping'>;
    config: Pick<Config, 'REQUEST_TIMEOUT_MS' | 'IDEMPOTENCY_KEY_DAYS'>;
    /** Where to log; nowhere unless given. */
    logger?: FastifyBaseLogger;
}
export declare function buildApp({ database, config, logger }: AppOptions): Promise<FastifyInstance>;
//# sourceMappingURL=app.d.ts.map