/**
 * Creates at most once for each idempotency key. The record of a key is written by the very statement that creates, so
 * that both are there or neither; whoever comes second with the key waits for the first, and finds its answer.
 */
import { type WithSubquery } from 'drizzle-orm';
import type { Db } from '../db/database.js';
import type { Versioned } from '../json.js';
/** What makes a create happen only once. */
export interface Once {
    /** The name of the caller, since the keys of callers are their own. */
    caller: string;
    key: string;
    /** What is asked for: a request with the same key and another fingerprint is another request. */
    fingerprint: string;
}
export type Creation<T> = ({
    outcome: 'created' | 'replayed';
} & Versioned<T>)
/** The key belongs to another request. Nothing was created. */
 | {
    outcome: 'key_reused';
};
/** The pieces of {@link Idempotency.claim} for a create without a key. */
export declare const alwaysFirst: {
    subqueries: WithSubquery[];
    isFirst: import("drizzle-orm").SQL<unknown>;
};
export type Idempotency = ReturnType<typeof createIdempotency>;
/** @param keptDays For how long a key is remembered. */
export declare function createIdempotency(db: Db, keptDays: number): {
    /**
     * The subqueries that go before an insert: they record the answer, a {@link Versioned}, and clean up. `isFirst` is
     * the condition under which to insert: the key of the call is new. It takes the values of {@link Once}.
     */
    claim(answer: WithSubquery): {
        subqueries: (import("drizzle-orm/pg-core").WithSubqueryWithSelection<{
            key: import("drizzle-orm/pg-core").PgColumn<{
                name: "key";
                tableName: "idempotency_keys";
                dataType: "string";
                columnType: "PgVarchar";
                data: string;
                driverParam: string;
                notNull: true;
                hasDefault: false;
                isPrimaryKey: false;
                isAutoincrement: false;
                hasRuntimeDefault: false;
                enumValues: [string, ...string[]];
                baseColumn: never;
                identity: undefined;
                generated: undefined;
            }, {}, {
                length: 255;
            }>;
        }, "claim"> | import("drizzle-orm/pg-core").WithSubqueryWithSelection<{
            key: import("drizzle-orm/pg-core").PgColumn<{
                name: "key";
                tableName: "idempotency_keys";
                dataType: "string";
                columnType: "PgVarchar";
                data: string;
                driverParam: string;
                notNull: true;
                hasDefault: false;
                isPrimaryKey: false;
                isAutoincrement: false;
                hasRuntimeDefault: false;
                enumValues: [string, ...string[]];
                baseColumn: never;
                identity: undefined;
                generated: undefined;
            }, {}, {
                length: 255;
            }>;
        }, "clean_up">)[];
        isFirst: import("drizzle-orm").SQL<unknown>;
    };
    /** Creates, or answers what was created before: `create` answers nothing where the key is known already. */
    once<T>(create: () => Promise<Versioned<T> | undefined>, once: Once): Promise<Creation<T>>;
};
//# sourceMappingURL=record.d.ts.map