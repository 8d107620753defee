/** Pieces of SQL that every store writes the same way. */
import { type SQL, type Subquery } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Caller } from '../access/caller.js';
import type { Json } from '../json.js';
/** A time as the API writes it, made by the database: it stays text all the way to the answer. */
export declare const timestamp: <T extends PgColumn>(column: T) => SQL.Aliased<T["_"]["notNull"] extends true ? string : string | null>;
/** A column as it is, to be read from a table or from rows that are like its own. */
export declare const column: <T extends PgColumn>(column: T) => SQL.Aliased<T["_"]["data"]>;
/** A row of a subquery as JSON. */
export declare const json: <T>(subquery: Subquery) => SQL.Aliased<Json<T>>;
/** All rows of a subquery as one JSON array, in the order of the subquery; empty when it has none. */
export declare const jsonRows: (subquery: Subquery) => SQL<unknown>;
/** The sort keys of a list: rows without a value last in both orders, equal ones by id in the same direction. */
export declare function ordering(column: PgColumn, id: PgColumn, order: 'asc' | 'desc'): SQL[];
/** Prepares a statement the first time its shape is asked for, and keeps it. */
export declare function preparedByShape<Shape, Statement>(prepare: (shape: Shape) => Statement): (shape: Shape) => Statement;
/** What a caller sees, for the shape of a statement. */
export declare const restricted: ({ sessions }: Caller) => boolean;
/** The same, for the values of a statement: UUIDs as an array of PostgreSQL. */
export declare const sessionsOf: ({ sessions }: Caller) => {
    own_sessions: string;
} | undefined;
/** The condition that a row is of a session of the caller, where the caller does not see all; see {@link restricted}. */
export declare const isOwn: (session_id: PgColumn, isRestricted: boolean) => SQL | undefined;
//# sourceMappingURL=sql.d.ts.map