/**
 * Creates at most once for each idempotency key. The record of a key is written by the very statement that creates, so
 * that both are there or neither; whoever comes second with the key waits for the first, and finds its answer.
 */
import { and, eq, sql, type WithSubquery } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import type { Versioned } from '../db/json.js'
import { prepare } from '../db/sql.js'
import { idempotencyKeys } from '../db/tables.js'

/** What makes a create happen only once. */
export interface Once {
  /** The name of the caller, since the keys of callers are their own. */
  caller: string
  key: string
  /** What is asked for: a request with the same key and another fingerprint is another request. */
  fingerprint: string
}

/** What was created, by this request or an earlier one. */
export type Created<T> = { outcome: 'created' | 'replayed' } & Versioned<T>

export type Creation<T> =
  | Created<T>
  /** The key belongs to another request. Nothing was created. */
  | { outcome: 'key_reused' }

/** The pieces of {@link Idempotency.claim} for a create without a key. */
export const alwaysFirst = { subqueries: [] as WithSubquery[], isFirst: sql`true` }

/** Most outdated records that one create takes away: more than it adds, so that none pile up. */
const CLEANED_UP = 2

export type Idempotency = ReturnType<typeof createIdempotency>

/** @param keptDays For how long a key is remembered. */
export function createIdempotency(db: StoreDb, keptDays: number) {
  const outdated = sql`${idempotencyKeys.created_at} < now() - make_interval(days => ${keptDays})`

  const select = prepare(
    db,
    db
      .select({
        fingerprint: idempotencyKeys.fingerprint,
        json: idempotencyKeys.json,
        version: idempotencyKeys.version,
      })
      .from(idempotencyKeys)
      .where(
        and(
          eq(idempotencyKeys.caller, sql.placeholder('caller')),
          eq(idempotencyKeys.key, sql.placeholder('key')),
        ),
      ),
  )

  return {
    /**
     * The subqueries that go before an insert: they record the answer, a {@link Versioned}, and clean up. `isFirst` is
     * the condition under which to insert: the key of the call is new. It takes the values of {@link Once}.
     */
    claim(answer: WithSubquery) {
      const claim = db.$with('claim').as(
        db
          .insert(idempotencyKeys)
          .select(
            sql`select ${sql.placeholder('caller')}, ${sql.placeholder('key')}, ${sql.placeholder('fingerprint')},
                       json, version, now() from ${answer}`,
          )
          .onConflictDoUpdate({
            target: [idempotencyKeys.caller, idempotencyKeys.key],
            set: {
              fingerprint: sql`excluded.fingerprint`,
              json: sql`excluded.json`,
              version: sql`excluded.version`,
              created_at: sql`excluded.created_at`,
            },
            setWhere: outdated,
          })
          .returning({ key: idempotencyKeys.key }),
      )
      const cleanUp = db.$with('clean_up').as(
        db
          .delete(idempotencyKeys)
          .where(
            sql`ctid = any(array(
              select ctid from ${idempotencyKeys}
              where ${outdated} and (caller, key) <> (${sql.placeholder('caller')}, ${sql.placeholder('key')})
              order by created_at limit ${CLEANED_UP} for update skip locked))`,
          )
          .returning({ key: idempotencyKeys.key }),
      )
      return { subqueries: [claim, cleanUp], isFirst: sql`exists (select from ${claim})` }
    },

    /** Creates, or answers what was created before: `create` answers nothing where the key is known already. */
    async once<T>(create: () => Promise<Versioned<T> | undefined>, once: Once): Promise<Creation<T>> {
      for (;;) {
        const created = await create()
        if (created !== undefined) return { outcome: 'created', ...created }
        const [record] = await select({ ...once })
        // In between, the record may have become outdated and gone.
        if (record === undefined) continue
        const { fingerprint, ...answer } = record
        return fingerprint === once.fingerprint
          ? { outcome: 'replayed', ...answer }
          : { outcome: 'key_reused' }
      }
    },
  }
}
