/** What the features' schemas share: how a component is named and referred to, and the types of the wire. */
import { type TSchema, Type } from '@sinclair/typebox';
import type { Json } from './json.js';
/** A reference to a named component; the type stays that of the component. */
export declare const ref: <T extends TSchema>(schema: T) => import("@sinclair/typebox").TUnsafe<(T & {
    params: [];
})["static"]>;
/** A reference to a named component, or null. */
export declare const refOrNull: <T extends TSchema>(schema: T) => import("@sinclair/typebox").TUnsafe<(T & {
    params: [];
})["static"] | null>;
/** One of some strings, as a single `enum` (a union of literals would become an `anyOf`). */
export declare const OneOf: <const T extends readonly string[]>(values: T, options?: object) => import("@sinclair/typebox").TUnsafe<T[number]>;
/** The schema, or null. Written as a type array: it serialises faster than an `anyOf` and reads better. */
export declare const Nullable: <T extends TSchema>(schema: T) => import("@sinclair/typebox").TUnsafe<(T & {
    params: [];
})["static"] | null>;
/** A field that a caller may leave out and a handler always finds, since the schema has a default. */
export declare const Defaulted: <T extends TSchema>(schema: T) => T;
/** An object that refuses fields it does not know, so that a misspelt one is told and not lost. */
export declare const Strict: <T extends Parameters<typeof Type.Object>[0]>(properties: T, options?: object) => import("@sinclair/typebox").TObject<T>;
/** A UUID in its usual form of 36 characters, read in either case and written in lower case (RFC 9562, section 4). */
export declare const Uuid: (description: string, example: string) => import("@sinclair/typebox").TString;
/** A UUID in a query. It has no example, since Swagger UI would fill that in, and so filter by what is not there. */
export declare const UuidFilter: (description: string) => import("@sinclair/typebox").TString;
/** Text of at most `maxLength` code points, without the characters that no UTF-8 database stores. */
export declare const Text: (maxLength: number, description: string, example: string, options?: object) => import("@sinclair/typebox").TString;
/** A text as it is answered: what holds for it was checked when it came in. */
export declare const answered: ({ description, examples }: TSchema) => import("@sinclair/typebox").TString;
/** A time as it is answered: RFC 3339 in UTC with milliseconds. */
export declare const Timestamp: (description: string, example: string) => import("@sinclair/typebox").TString;
/** A time as it is read; {@link toTimestamp} says what else than RFC 3339 is understood. */
export declare const TimestampInput: (description: string, example: string) => import("@sinclair/typebox").TString;
/**
 * Reads RFC 3339 (section 5.6, leap seconds included), the same without an offset (taken as UTC), or a date
 * alone (midnight UTC). Answers UTC in milliseconds, finer digits cut off; undefined for anything else, for days
 * that no calendar has, and for times outside the years 0001 to 9999.
 */
export declare function toTimestamp(text: string): string | undefined;
/** The parameters of every list. */
export declare const pageParameters: {
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
};
/** A named page of a named component. */
export declare const PageOf: <T extends TSchema>(item: T) => import("@sinclair/typebox").TObject<{
    items: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<(T & {
        params: [];
    })["static"]>>;
    total: import("@sinclair/typebox").TInteger;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
    total_pages: import("@sinclair/typebox").TInteger;
    has_next: import("@sinclair/typebox").TBoolean;
    has_prev: import("@sinclair/typebox").TBoolean;
}>;
/** A success: its description, its JSON body and its headers, beside the one that every answer carries. */
export declare const answer: <T extends TSchema>(description: string, schema: T, headers?: object) => import("@sinclair/typebox").TUnsafe<Json<(T & {
    params: [];
})["static"]>>;
/** A success without a body. */
export declare const noContent: (description: string, headers?: object) => import("@sinclair/typebox").TUnsafe<string | undefined>;
/** The headers that every answer carries. */
export declare const responseHeaders: {
    'X-Request-ID': {
        type: string;
        description: string;
    };
};
//# sourceMappingURL=schemas.d.ts.map