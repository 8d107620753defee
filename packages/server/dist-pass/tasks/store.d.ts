/**
 * Every statement on tasks. Each call is one statement: there is no moment between a read and a write in which
 * another agent could change the task, and no transaction to hold open. Statements are prepared once for each shape, and
 * answer JSON.
 */
import { type SQL } from 'drizzle-orm';
import type { Caller } from '../access/caller.js';
import type { Db } from '../db/database.js';
import { type Creation, type Idempotency, type Once } from '../idempotency/record.js';
import type { Json, Versioned } from '../json.js';
import type { Task, TaskCreate, TaskListQuery, TaskPatch, TaskUpdate } from './schemas.js';
/** A task as the API answers it. */
export declare const taskColumns: {
    id: SQL.Aliased<string>;
    session_id: SQL.Aliased<string>;
    batch_id: SQL.Aliased<string>;
    title: SQL.Aliased<string>;
    description: SQL.Aliased<string>;
    status: SQL.Aliased<"pending" | "in_progress" | "completed">;
    priority: SQL.Aliased<"low" | "medium" | "high">;
    due_date: SQL.Aliased<string | null>;
    completed_at: SQL.Aliased<string | null>;
    created_at: SQL.Aliased<string>;
    updated_at: SQL.Aliased<string>;
};
/**
 * The tasks that the parameter `rows` holds, a JSON array of {@link newTask}, as they are going to be: the columns stand
 * in the table's order.
 */
export declare const plannedTasks: (db: Db) => import("drizzle-orm/pg-core").WithSubqueryWithSelection<{}, "planned">;
/** A row to insert. Ids rise with every call, so that tasks made together sort by id in the order given. */
export declare const newTask: (task: TaskCreate, position?: number) => {
    id: string;
    position: number;
    description?: string | null | undefined;
    session_id?: string | null | undefined;
    priority?: "low" | "medium" | "high" | null | undefined;
    due_date?: string | null | undefined;
    title: string;
    status: "pending" | "in_progress" | "completed";
};
export type TaskStore = ReturnType<typeof createTaskStore>;
/** Every function sees the tasks of the caller's sessions and no others. */
export declare function createTaskStore(db: Db, idempotency: Idempotency): {
    /** Creates the task; with `once`, unless that was done before. */
    create(task: TaskCreate, once?: Once): Promise<Creation<Task>>;
    /** The task, or undefined when there is none with this id. */
    get(caller: Caller, id: string): Promise<Versioned<Task> | undefined>;
    /** A page of the tasks that pass all given filters, and how many there are in all. */
    list(caller: Caller, { page, limit, sort_by, order, ...given }: TaskListQuery): Promise<{
        items: Json<Task[]>;
        total: number;
    }>;
    /**
     * The changed task, or undefined when there is none with this id, or none of the versions given: to which of both
     * it was, {@link get} has the answer, since a version that is gone does not come back.
     */
    update(caller: Caller, id: string, changes: TaskUpdate, versions?: string[]): Promise<Versioned<Task> | undefined>;
    /** Changes tasks, all or none, and answers those that exist, by id, in the order of their first mention. */
    updateMany(caller: Caller, changes: TaskPatch[]): Promise<Map<string, Json<Task>>>;
    /** Whether there was such a task, in one of the versions if any are given. */
    delete(caller: Caller, id: string, versions?: string[]): Promise<boolean>;
    /** Deletes tasks, all or none, and answers the ids of those that existed. */
    deleteMany(caller: Caller, ids: string[]): Promise<string[]>;
};
//# sourceMappingURL=store.d.ts.map