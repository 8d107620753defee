import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
/** What the stores see, whichever driver is behind it. */
export type Db = PgDatabase<PgQueryResultHKT>;
export interface Database {
    db: Db;
    /** Where the data is, for people: without user and password. */
    location: string;
    /** Fails when the database does not answer in time. */
    ping(): Promise<void>;
    /** Waits for statements in flight, then closes. */
    close(): Promise<void>;
}
export interface DatabaseOptions {
    /** Most connections to PostgreSQL. */
    poolSize: number;
    /** After how many milliseconds PostgreSQL cancels a statement. */
    statementTimeout: number;
    /** After how many milliseconds a statement of PostgreSQL gives up waiting for one that holds its rows. */
    lockTimeout: number;
    /** How many milliseconds to wait for a PostgreSQL that cannot be reached yet. */
    startTimeout: number;
    /** Called once when it has to be waited for. */
    onWait?: (location: string) => void;
}
/** The database cannot be opened; the message says why, in a line. */
export declare class DatabaseError extends Error {
}
/**
 * Opens the database and brings its schema up to date. Throws {@link DatabaseError}.
 *
 * @param url `postgres://user:password@host/database` (also as `postgresql://` or `postgresql+asyncpg://`),
 *   `file:folder` for the embedded database in a folder, or `memory://` for one without.
 */
export declare function openDatabase(url: string, options: DatabaseOptions): Promise<Database>;
//# sourceMappingURL=database.d.ts.map