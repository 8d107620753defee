/** The batch operations over HTTP. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { BatchStore } from './store.js';
export declare const batchRoutes: FastifyPluginAsyncTypebox<{
    store: BatchStore;
}>;
//# sourceMappingURL=routes.d.ts.map