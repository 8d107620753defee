import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Versioned } from '../json.js';
import type { Creation, Once } from './record.js';
/** The headers of a route that creates. */
export declare const CreateHeaders: import("@sinclair/typebox").TObject<{
    'Idempotency-Key': import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
}>;
/** The headers of its answer. */
export declare const replayedHeader: {
    'Idempotency-Replayed': {
        type: string;
        enum: string[];
        description: string;
    };
};
/** Creates, once for the Idempotency-Key if the request has one, and prepares the answer. */
export declare function createOnce<T>(request: FastifyRequest, reply: FastifyReply, create: (once: Once | undefined) => Promise<Creation<T>>): Promise<Versioned<T>>;
//# sourceMappingURL=header.d.ts.map