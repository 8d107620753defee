/** Whether the service and its database work. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static } from '@sinclair/typebox';
export declare const Health: import("@fastify/type-provider-typebox").TObject<{
    status: import("@fastify/type-provider-typebox").TUnsafe<"healthy" | "degraded">;
    version: import("@fastify/type-provider-typebox").TString;
    database: import("@fastify/type-provider-typebox").TUnsafe<"healthy" | "unhealthy">;
}>;
export type Health = Static<typeof Health>;
/** `ping` asks the database, and fails when no answer comes in time. */
export declare const healthRoutes: FastifyPluginAsyncTypebox<{
    ping: () => Promise<void>;
}>;
//# sourceMappingURL=health.d.ts.map