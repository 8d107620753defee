/** The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a create that is repeated takes effect once. */
import { createHash } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import { isLocked } from '../db/failures.js';
import { ApiError } from '../errors.js';
/** The headers of a route that creates. */
export const CreateHeaders = Type.Object({
    'Idempotency-Key': Type.Optional(Type.String({
        format: 'idempotency-key',
        description: 'Makes it safe to repeat the request: with a key that was used before, the first answer comes again and nothing more is created. 1 to 255 visible ASCII characters, in double quotes or not. Choose what names the step, as in `<session_id>:plan:1`, so that a step that is thought of twice is done once; or a new UUID. Keys are remembered for days, for each caller alone.',
        examples: ['550e8400-e29b-41d4-a716-446655440001:plan:1'],
    })),
});
/** The headers of its answer. */
export const replayedHeader = {
    'Idempotency-Replayed': {
        type: 'string',
        enum: ['true'],
        description: 'There when the answer is that of an earlier request with the same Idempotency-Key.',
    },
};
/** Creates, once for the Idempotency-Key if the request has one, and prepares the answer. */
export async function createOnce(request, reply, create) {
    const creation = await create(readOnce(request)).catch((error) => {
        throw isLocked(error) ? new ApiError('idempotency_in_progress') : error;
    });
    if (creation.outcome === 'key_reused')
        throw new ApiError('idempotency_key_reused');
    if (creation.outcome === 'replayed')
        reply.header('idempotency-replayed', 'true');
    reply.code(201);
    return creation;
}
function readOnce({ headers, caller, method, routeOptions, body }) {
    const given = headers['idempotency-key'];
    if (given === undefined)
        return undefined;
    const fingerprint = createHash('sha256')
        .update(`${method} ${routeOptions.url}\n${JSON.stringify(body, inOrder)}`)
        .digest('base64');
    return { caller: caller.name, key: bare(given), fingerprint };
}
/** The same object says the same in whatever order its fields are given. */
const inOrder = (_name, value) => value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
/** The key without the quotes and escapes of a structured field (RFC 9651, section 3.3.3), where it has them. */
const bare = (key) => (key.startsWith('"') ? key.slice(1, -1).replaceAll(/\\(.)/g, '$1') : key);
//# sourceMappingURL=header.js.map