/** The shapes of tasks on the wire. The OpenAPI document is made from these: descriptions are documentation. */
import { type Static } from '@sinclair/typebox';
/** Most items that one bulk call or one batch takes. */
export declare const MAX_ITEMS = 500;
export declare const example: {
    task_id: string;
    batch_id: string;
    session_id: string;
};
export declare const Task: import("@sinclair/typebox").TObject<{
    id: import("@sinclair/typebox").TString;
    session_id: import("@sinclair/typebox").TUnsafe<string | null>;
    batch_id: import("@sinclair/typebox").TUnsafe<string | null>;
    title: import("@sinclair/typebox").TString;
    description: import("@sinclair/typebox").TUnsafe<string | null>;
    status: import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">;
    priority: import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>;
    due_date: import("@sinclair/typebox").TUnsafe<string | null>;
    completed_at: import("@sinclair/typebox").TUnsafe<string | null>;
    created_at: import("@sinclair/typebox").TString;
    updated_at: import("@sinclair/typebox").TString;
}>;
export type Task = Static<typeof Task>;
export declare const TaskCreate: import("@sinclair/typebox").TObject<{
    title: import("@sinclair/typebox").TString;
    description: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    status: import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">;
    priority: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>>;
    due_date: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
}>;
export type TaskCreate = Static<typeof TaskCreate>;
export declare const TaskUpdate: import("@sinclair/typebox").TObject<{
    title: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    description: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    status: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">>;
    priority: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>>;
    due_date: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
}>;
export type TaskUpdate = Static<typeof TaskUpdate>;
export declare const TaskPatch: import("@sinclair/typebox").TObject<{
    title: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    description: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    status: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">>;
    priority: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>>;
    due_date: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    id: import("@sinclair/typebox").TString;
}>;
export type TaskPatch = Static<typeof TaskPatch>;
export declare const TaskBulkUpdate: import("@sinclair/typebox").TObject<{
    tasks: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        title?: string | undefined;
        description?: string | null | undefined;
        status?: "pending" | "in_progress" | "completed" | undefined;
        priority?: "high" | "medium" | "low" | null | undefined;
        due_date?: string | null | undefined;
        id: string;
    }>>;
}>;
export type TaskBulkUpdate = Static<typeof TaskBulkUpdate>;
export declare const TaskBulkUpdateResult: import("@sinclair/typebox").TObject<{
    updated: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        title: string;
        description: string | null;
        status: "pending" | "in_progress" | "completed";
        priority: "high" | "medium" | "low" | null;
        due_date: string | null;
        session_id: string | null;
        id: string;
        batch_id: string | null;
        completed_at: string | null;
        created_at: string;
        updated_at: string;
    }>>;
    not_found: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TString>;
}>;
export declare const TaskBulkDelete: import("@sinclair/typebox").TObject<{
    ids: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TString>;
}>;
export type TaskBulkDelete = Static<typeof TaskBulkDelete>;
export declare const TaskBulkDeleteResult: import("@sinclair/typebox").TObject<{
    deleted_count: import("@sinclair/typebox").TInteger;
    not_found: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TString>;
}>;
export declare const TaskPage: import("@sinclair/typebox").TObject<{
    items: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        title: string;
        description: string | null;
        status: "pending" | "in_progress" | "completed";
        priority: "high" | "medium" | "low" | null;
        due_date: string | null;
        session_id: string | null;
        id: string;
        batch_id: string | null;
        completed_at: string | null;
        created_at: string;
        updated_at: string;
    }>>;
    total: import("@sinclair/typebox").TInteger;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
    total_pages: import("@sinclair/typebox").TInteger;
    has_next: import("@sinclair/typebox").TBoolean;
    has_prev: import("@sinclair/typebox").TBoolean;
}>;
export declare const TaskListQuery: import("@sinclair/typebox").TObject<{
    status: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">>;
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    batch_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    sort_by: import("@sinclair/typebox").TUnsafe<"status" | "priority" | "due_date" | "created_at" | "updated_at">;
    order: import("@sinclair/typebox").TUnsafe<"desc" | "asc">;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
}>;
export type TaskListQuery = Static<typeof TaskListQuery>;
export declare const TaskParams: import("@sinclair/typebox").TObject<{
    task_id: import("@sinclair/typebox").TString;
}>;
/** The schemas that get a name in the OpenAPI document. */
export declare const taskComponents: (import("@sinclair/typebox").TObject<{
    title: import("@sinclair/typebox").TString;
    description: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    status: import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">;
    priority: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>>;
    due_date: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
}> | import("@sinclair/typebox").TObject<{
    id: import("@sinclair/typebox").TString;
    session_id: import("@sinclair/typebox").TUnsafe<string | null>;
    batch_id: import("@sinclair/typebox").TUnsafe<string | null>;
    title: import("@sinclair/typebox").TString;
    description: import("@sinclair/typebox").TUnsafe<string | null>;
    status: import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">;
    priority: import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>;
    due_date: import("@sinclair/typebox").TUnsafe<string | null>;
    completed_at: import("@sinclair/typebox").TUnsafe<string | null>;
    created_at: import("@sinclair/typebox").TString;
    updated_at: import("@sinclair/typebox").TString;
}> | import("@sinclair/typebox").TObject<{
    title: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    description: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    status: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"pending" | "in_progress" | "completed">>;
    priority: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"high" | "medium" | "low" | null>>;
    due_date: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
}> | import("@sinclair/typebox").TObject<{
    items: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        title: string;
        description: string | null;
        status: "pending" | "in_progress" | "completed";
        priority: "high" | "medium" | "low" | null;
        due_date: string | null;
        session_id: string | null;
        id: string;
        batch_id: string | null;
        completed_at: string | null;
        created_at: string;
        updated_at: string;
    }>>;
    total: import("@sinclair/typebox").TInteger;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
    total_pages: import("@sinclair/typebox").TInteger;
    has_next: import("@sinclair/typebox").TBoolean;
    has_prev: import("@sinclair/typebox").TBoolean;
}> | import("@sinclair/typebox").TObject<{
    tasks: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        title?: string | undefined;
        description?: string | null | undefined;
        status?: "pending" | "in_progress" | "completed" | undefined;
        priority?: "high" | "medium" | "low" | null | undefined;
        due_date?: string | null | undefined;
        id: string;
    }>>;
}> | import("@sinclair/typebox").TObject<{
    updated: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        title: string;
        description: string | null;
        status: "pending" | "in_progress" | "completed";
        priority: "high" | "medium" | "low" | null;
        due_date: string | null;
        session_id: string | null;
        id: string;
        batch_id: string | null;
        completed_at: string | null;
        created_at: string;
        updated_at: string;
    }>>;
    not_found: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TString>;
}> | import("@sinclair/typebox").TObject<{
    ids: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TString>;
}> | import("@sinclair/typebox").TObject<{
    deleted_count: import("@sinclair/typebox").TInteger;
    not_found: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TString>;
}>)[];
//# sourceMappingURL=schemas.d.ts.map