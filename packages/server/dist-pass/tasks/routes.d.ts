/** The task operations over HTTP. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { TaskStore } from './store.js';
export declare const taskRoutes: FastifyPluginAsyncTypebox<{
    store: TaskStore;
}>;
//# sourceMappingURL=routes.d.ts.map