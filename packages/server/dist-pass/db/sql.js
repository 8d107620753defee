/** Pieces of SQL that every store writes the same way. */
import { sql } from 'drizzle-orm';
/** A time as the API writes it, made by the database: it stays text all the way to the answer. */
export const timestamp = (column) => sql `
    to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.as(column.name);
/** A column as it is, to be read from a table or from rows that are like its own. */
export const column = (column) => sql `${column}`.as(column.name);
/** A row of a subquery as JSON. */
export const json = (subquery) => sql `row_to_json(${sql.identifier(subquery._.alias)})::text`.as('json');
/** All rows of a subquery as one JSON array, in the order of the subquery; empty when it has none. */
export const jsonRows = (subquery) => sql `coalesce(json_agg(${sql.identifier(subquery._.alias)}), '[]')`;
/** The sort keys of a list: rows without a value last in both orders, equal ones by id in the same direction. */
export function ordering(column, id, order) {
    const direction = sql.raw(order);
    // An index serves the order of a column that is never null only where the nulls are not mentioned.
    const nulls = column.notNull ? sql `` : sql ` nulls last`;
    return [sql `${column} ${direction}${nulls}`, sql `${id} ${direction}`];
}
/** Prepares a statement the first time its shape is asked for, and keeps it. */
export function preparedByShape(prepare) {
    const statements = new Map();
    return (shape) => {
        const key = JSON.stringify(shape);
        const known = statements.get(key);
        if (known !== undefined)
            return known;
        const statement = prepare(shape);
        statements.set(key, statement);
        return statement;
    };
}
/** What a caller sees, for the shape of a statement. */
export const restricted = ({ sessions }) => sessions !== undefined;
/** The same, for the values of a statement: UUIDs as an array of PostgreSQL. */
export const sessionsOf = ({ sessions }) => sessions && { own_sessions: `{${sessions}}` };
/** The condition that a row is of a session of the caller, where the caller does not see all; see {@link restricted}. */
export const isOwn = (session_id, isRestricted) => isRestricted ? sql `${session_id} = any(${sql.placeholder('own_sessions')}::uuid[])` : undefined;
//# sourceMappingURL=sql.js.map