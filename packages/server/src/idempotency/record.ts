/**
 * Creates at most once for each idempotency key. The record of a key is written by the same statement that creates, so
 * that both exist or neither. A second request with the key waits for the first, and returns its response.
 */
import { and, eq, type Placeholder, sql, type WithSubquery } from 'drizzle-orm'
import type { StoreDb } from '../db/database.js'
import type { Json, Versioned } from '../db/json.js'
import { columnsOf } from '../db/sql.js'
import { qb, statement } from '../db/statement.js'
import { idempotencyKeys } from '../db/tables.js'
import { isFormer } from './fingerprint.js'

interface Keyed {
  /** The name of the caller: each caller has keys of its own. */
  caller: string
  key: string
  /** A hash of the request: the same key with another fingerprint is another request. */
  fingerprint: string
}

/** What makes a create happen only once. */
export interface Once extends Keyed {
  /** The fingerprint as the version before made it: the keys that it recorded stay valid. */
  formerFingerprint?: () => string
}

/** The values of a statement with {@link claim}. */
export interface OnceValues extends Keyed {
  /** For how many days a key is remembered. */
  kept_days: number
}

/** What was created, by this request or an earlier one. */
export type Created<T> = { outcome: 'created' | 'replayed' } & Versioned<T>

export type Creation<T> =
  | Created<T>
  /** The key belongs to another request. Nothing was created. */
  | { outcome: 'key_reused' }

interface Claim {
  /** What goes before the insert. */
  subqueries: WithSubquery[]
  /** The condition under which to insert. */
  isFirst: ReturnType<typeof sql>
}

/** A {@link claim} for a create without a key. */
export const unclaimed = (_response: WithSubquery): Claim => ({ subqueries: [], isFirst: sql`true` })

/** Most outdated records that one create deletes: more than it adds, so that none pile up. */
const CLEANED_UP = 2

/** Records the response, a {@link Versioned}, unless the key is known, and deletes outdated records. */
export function claim(response: WithSubquery, $: { [Name in keyof OnceValues]: Placeholder }): Claim {
  const outdated = sql`${idempotencyKeys.created_at} < now() - make_interval(days => ${$.kept_days}::int)`
  const claim = qb.$with('claim').as(
    qb
      .insert(idempotencyKeys)
      .select(
        sql`select ${columnsOf(idempotencyKeys)} from (
              select ${$.caller} as caller, ${$.key} as key, ${$.fingerprint} as fingerprint,
                     json, version, now() as created_at
              from ${response}) as record`,
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
  const cleanUp = qb.$with('clean_up').as(
    qb
      .delete(idempotencyKeys)
      .where(
        sql`ctid = any(array(
          select ctid from ${idempotencyKeys}
          where ${outdated} and (caller, key) <> (${$.caller}, ${$.key})
          order by created_at limit ${sql.raw(String(CLEANED_UP))} for update skip locked))`,
      )
      .returning({ key: idempotencyKeys.key }),
  )
  return { subqueries: [claim, cleanUp], isFirst: sql`exists (select from ${claim})` }
}

interface Stored {
  fingerprint: string
  json: Json<unknown>
  version: string
}

const select = statement<{ caller: string; key: string }, Stored>(($) =>
  qb
    .select({
      fingerprint: idempotencyKeys.fingerprint,
      json: sql<Json<unknown>>`${idempotencyKeys.json}`.as('json'),
      version: idempotencyKeys.version,
    })
    .from(idempotencyKeys)
    .where(and(eq(idempotencyKeys.caller, $.caller), eq(idempotencyKeys.key, $.key))),
)

/** Records a key whose response follows in the same transaction. */
const reserve = statement<OnceValues, { key: string }>(($) => {
  const response = qb
    .$with('response', {})
    .as(sql`select ''::text as json, ''::text as version`) as unknown as WithSubquery
  const { subqueries } = claim(response, $)
  return qb
    .with(response, ...subqueries)
    .select({ key: sql<string>`key`.as('key') })
    .from(sql`claim`)
})

const complete = statement<{ caller: string; key: string; json: string; version: string }, { key: string }>(
  ($) =>
    qb
      .update(idempotencyKeys)
      .set({ json: sql`${$.json}`, version: sql`${$.version}` })
      .where(and(eq(idempotencyKeys.caller, $.caller), eq(idempotencyKeys.key, $.key)))
      .returning({ key: idempotencyKeys.key }),
)

const forget = statement<{ caller: string; key: string }, { key: string }>(($) =>
  qb
    .delete(idempotencyKeys)
    .where(and(eq(idempotencyKeys.caller, $.caller), eq(idempotencyKeys.key, $.key)))
    .returning({ key: idempotencyKeys.key }),
)

export type Idempotency = ReturnType<typeof createIdempotency>

/**
 * @param db A database, or a transaction.
 * @param keptDays For how many days a key is remembered.
 */
export function createIdempotency(db: StoreDb, keptDays: number) {
  const idempotency = {
    /** Creates, or returns what was created before: `create` returns undefined if the key is known already. */
    async once<T>(
      create: (values: OnceValues) => Promise<Versioned<T> | undefined>,
      { formerFingerprint, ...keyed }: Once,
    ): Promise<Creation<T>> {
      const { caller, key, fingerprint } = keyed
      for (;;) {
        const created = await create({ ...keyed, kept_days: keptDays })
        if (created !== undefined) return { outcome: 'created', ...created }
        const [record] = await select(db, { caller, key })
        // In between, the record may have become outdated and been deleted.
        if (record === undefined) continue
        const isSame =
          record.fingerprint === fingerprint ||
          (isFormer(record.fingerprint) && record.fingerprint === formerFingerprint?.())
        if (!isSame) return { outcome: 'key_reused' }
        // The fingerprint covers the operation: the record is of what `create` creates.
        return { outcome: 'replayed', json: record.json as Json<T>, version: record.version }
      }
    },

    /**
     * {@link once}, for what takes several statements; without `request`, in a transaction only. A response with
     * `isTransient` is not recorded: a retry asks again.
     */
    async onceInTransaction<T>(
      create: (transaction: StoreDb) => Promise<Versioned<T> & { isTransient?: boolean }>,
      request: Once | undefined,
    ): Promise<Creation<T>> {
      if (request === undefined) return { outcome: 'created', ...(await db.inTransaction(create)) }
      return idempotency.once(
        (values) =>
          db.inTransaction(async (transaction) => {
            if ((await reserve(transaction, values)).length === 0) return undefined
            const created = await create(transaction)
            const { caller, key } = values
            const { json, version } = created
            if (created.isTransient) await forget(transaction, { caller, key })
            else await complete(transaction, { caller, key, json, version })
            return created
          }),
        request,
      )
    },
  }
  return idempotency
}
