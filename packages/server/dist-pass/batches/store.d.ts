import type { Caller } from '../access/caller.js';
import type { Db } from '../db/database.js';
import { type Creation, type Idempotency, type Once } from '../idempotency/record.js';
import type { Json } from '../json.js';
import type { Batch, BatchCreate, BatchListQuery } from './schemas.js';
export type BatchStore = ReturnType<typeof createBatchStore>;
/** Every function sees the batches of the caller's sessions and no others. */
export declare function createBatchStore(db: Db, idempotency: Idempotency): {
    /** Creates the batch with all its tasks, or nothing; with `once`, unless that was done before. */
    create({ session_id, reason, tasks: plan }: BatchCreate, once?: Once): Promise<Creation<Batch>>;
    /** The batch, or undefined when there is none with this id. */
    get(caller: Caller, id: string): Promise<Json<Batch> | undefined>;
    /** A page of batches, newest first, and how many there are in all. */
    list(caller: Caller, { session_id, page, limit }: BatchListQuery): Promise<{
        items: Json<Batch[]>;
        total: number;
    }>;
    /** The newest batch, or undefined when there is none. */
    latest(caller: Caller, session_id: string | undefined): Promise<Json<Batch> | undefined>;
};
//# sourceMappingURL=store.d.ts.map