import type { FastifyInstance } from 'fastify';
/** To be registered before the routes. */
export declare function registerOpenapi(app: FastifyInstance): Promise<void>;
//# sourceMappingURL=openapi.d.ts.map