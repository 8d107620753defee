import type { Socket } from 'node:net';
import { type Static } from '@sinclair/typebox';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
declare const catalogue: {
    readonly bad_request: readonly [400, "The request is malformed", "The request could not be read: its HTTP or the percent-encoding of its path is malformed."];
    readonly invalid_json: readonly [400, "The body is not JSON", "The body is not valid JSON: Unexpected end of JSON input."];
    readonly empty_body: readonly [400, "The body is empty", "This operation takes a JSON body, and none was sent."];
    readonly task_not_found: readonly [404, "No such task", "There is no task with this id. List the tasks to see which there are."];
    readonly batch_not_found: readonly [404, "No such batch", "There is no batch with this id. List the batches to see which there are."];
    readonly route_not_found: readonly [404, "No such route", "Nothing is at this path. /openapi.json lists the paths there are."];
    readonly method_not_allowed: readonly [405, "The path has no such method", "PATCH is not possible here. Possible: DELETE, GET, HEAD, PUT."];
    readonly idempotency_in_progress: readonly [409, "A request with this key is in progress", "An earlier request with this Idempotency-Key has not finished. Send the same request again after Retry-After seconds: it will get the answer of the earlier one."];
    readonly task_changed: readonly [412, "The task was changed", "Somebody changed the task since you read it; nothing was done. Look at current, and if the change still makes sense send it again with If-Match of its updated_at."];
    readonly request_timeout: readonly [408, "The request took too long to arrive", "The request did not arrive in time. Send it again."];
    readonly body_too_large: readonly [413, "The body is too large", "The body may have at most 1 MiB. Split it into several calls."];
    readonly unsupported_media_type: readonly [415, "The body is not sent as JSON", "Send the body as JSON in UTF-8, with the header Content-Type: application/json."];
    readonly validation_error: readonly [422, "The request breaks the schema", "1 mistake. status in the body must be pending, in_progress or completed; did you mean completed?"];
    readonly idempotency_key_reused: readonly [422, "The key belongs to another request", "This Idempotency-Key was used for another request; nothing was created. To create something else, use a new key; to repeat the earlier request, send it unchanged."];
    readonly headers_too_large: readonly [431, "The headers are too large", "The headers of the request are too large."];
    readonly internal_error: readonly [500, "The service failed", "An error of the service, not of the request. It has been logged."];
    readonly database_unavailable: readonly [503, "The database is unavailable", "The database cannot be reached for the moment. Send the same request again after Retry-After seconds; before repeating a create, look whether it took effect."];
    readonly timeout: readonly [503, "The request was not finished in time", "The request was not finished in time; it may still take effect. Look before sending it again, after Retry-After seconds."];
};
/** What went wrong, for a program. A code never changes its meaning. */
export type ErrorCode = keyof typeof catalogue;
export declare const Problem: import("@sinclair/typebox").TObject<{
    type: import("@sinclair/typebox").TString;
    title: import("@sinclair/typebox").TString;
    status: import("@sinclair/typebox").TInteger;
    detail: import("@sinclair/typebox").TString;
    instance: import("@sinclair/typebox").TString;
    error_code: import("@sinclair/typebox").TUnsafe<"invalid_json" | "empty_body" | "request_timeout" | "body_too_large" | "unsupported_media_type" | "idempotency_in_progress" | "idempotency_key_reused" | "bad_request" | "validation_error" | "internal_error" | "database_unavailable" | "timeout" | "task_not_found" | "batch_not_found" | "route_not_found" | "method_not_allowed" | "task_changed" | "headers_too_large">;
    request_id: import("@sinclair/typebox").TString;
    errors: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TArray<import("@sinclair/typebox").TObject<{
        in: import("@sinclair/typebox").TUnsafe<"query" | "body" | "path" | "header">;
        path: import("@sinclair/typebox").TString;
        message: import("@sinclair/typebox").TString;
        allowed: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<(string | null)[]>>;
        did_you_mean: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    }>>>;
    current: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TRef<"Task">>;
    error_count: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TInteger>;
}>;
export type Problem = Static<typeof Problem>;
/** A failure with a text for the caller. */
export declare class ApiError extends Error {
    readonly code: ErrorCode;
    readonly headers: Record<string, string>;
    readonly extras: Pick<Problem, 'errors' | 'error_count' | 'current'>;
    constructor(code: ErrorCode, detail?: string, headers?: Record<string, string>, extras?: Pick<Problem, 'errors' | 'error_count' | 'current'>);
}
/** Documents error answers, for a route's `response`: one entry a status, with an example for each code. */
export declare function problems(...codes: ErrorCode[]): Record<number, {
    description: string;
    headers: object;
    content: object;
}>;
/** The errors that every operation can answer, those of one that takes a body, and of one that creates. */
export declare const commonProblems: readonly ["bad_request", "validation_error", "internal_error", "database_unavailable", "timeout"];
export declare const bodyProblems: readonly ["invalid_json", "empty_body", "request_timeout", "body_too_large", "unsupported_media_type"];
export declare const createProblems: readonly ["invalid_json", "empty_body", "request_timeout", "body_too_large", "unsupported_media_type", "idempotency_in_progress", "idempotency_key_reused"];
/** The one error handler. What the service did wrong is logged, without SQL, values or stack. */
export declare function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply<import("fastify").RouteGenericInterface, import("fastify").RawServerDefault, import("http").IncomingMessage, import("http").ServerResponse<import("http").IncomingMessage>, unknown, import("fastify").FastifySchema, import("fastify").FastifyTypeProviderDefault, unknown>;
/**
 * Answers 404 for what is no route, before the body is read: whether it is JSON does not matter there.
 * And answers 405 for the other methods of every path that there is (RFC 9110, section 15.5.6).
 */
export declare function refuseUnknownRoutes(app: FastifyInstance): () => void;
/** Answers what is no readable HTTP, where there is no request yet: straight to the socket, and closes it. */
export declare function handleClientError(error: NodeJS.ErrnoException, socket: Socket): Socket | undefined;
export {};
//# sourceMappingURL=errors.d.ts.map