/**
 * Creates at most once for each idempotency key. The record of a key is written by the very statement that creates, so
 * that both are there or neither; whoever comes second with the key waits for the first, and finds its answer.
 */
import { and, eq, sql } from 'drizzle-orm';
import { idempotencyKeys } from '../db/tables.js';
/** The pieces of {@link Idempotency.claim} for a create without a key. */
export const alwaysFirst = { subqueries: [], isFirst: sql `true` };
/** Most outdated records that one create takes away: more than it adds, so that none pile up. */
const CLEANED_UP = 2;
/** @param keptDays For how long a key is remembered. */
export function createIdempotency(db, keptDays) {
    const outdated = sql `${idempotencyKeys.created_at} < now() - make_interval(days => ${keptDays})`;
    const select = db
        .select({
        fingerprint: idempotencyKeys.fingerprint,
        json: idempotencyKeys.json,
        version: idempotencyKeys.version,
    })
        .from(idempotencyKeys)
        .where(and(eq(idempotencyKeys.caller, sql.placeholder('caller')), eq(idempotencyKeys.key, sql.placeholder('key'))))
        .prepare('select_idempotency_key');
    return {
        /**
         * The subqueries that go before an insert: they record the answer, a {@link Versioned}, and clean up. `isFirst` is
         * the condition under which to insert: the key of the call is new. It takes the values of {@link Once}.
         */
        claim(answer) {
            const claim = db.$with('claim').as(db
                .insert(idempotencyKeys)
                .select(sql `select ${sql.placeholder('caller')}, ${sql.placeholder('key')}, ${sql.placeholder('fingerprint')},
                       json, version, now() from ${answer}`)
                .onConflictDoUpdate({
                target: [idempotencyKeys.caller, idempotencyKeys.key],
                set: {
                    fingerprint: sql `excluded.fingerprint`,
                    json: sql `excluded.json`,
                    version: sql `excluded.version`,
                    created_at: sql `excluded.created_at`,
                },
                setWhere: outdated,
            })
                .returning({ key: idempotencyKeys.key }));
            const cleanUp = db.$with('clean_up').as(db
                .delete(idempotencyKeys)
                .where(sql `ctid = any(array(
              select ctid from ${idempotencyKeys}
              where ${outdated} and (caller, key) <> (${sql.placeholder('caller')}, ${sql.placeholder('key')})
              order by created_at limit ${CLEANED_UP} for update skip locked))`)
                .returning({ key: idempotencyKeys.key }));
            return { subqueries: [claim, cleanUp], isFirst: sql `exists (select from ${claim})` };
        },
        /** Creates, or answers what was created before: `create` answers nothing where the key is known already. */
        async once(create, once) {
            for (;;) {
                const created = await create();
                if (created !== undefined)
                    return { outcome: 'created', ...created };
                const [record] = await select.execute({ ...once });
                // In between, the record may have become outdated and gone.
                if (record === undefined)
                    continue;
                const { fingerprint, ...answer } = record;
                return fingerprint === once.fingerprint
                    ? { outcome: 'replayed', ...answer }
                    : { outcome: 'key_reused' };
            }
        },
    };
}
//# sourceMappingURL=record.js.map