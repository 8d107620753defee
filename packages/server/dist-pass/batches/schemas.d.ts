/** The shapes of batches on the wire. The OpenAPI document is made from these: descriptions are documentation. */
import { type Static } from '@sinclair/typebox';
export declare const Batch: import("@sinclair/typebox").TObject<{
    id: import("@sinclair/typebox").TString;
    session_id: import("@sinclair/typebox").TUnsafe<string | null>;
    reason: import("@sinclair/typebox").TUnsafe<string | null>;
    created_at: import("@sinclair/typebox").TString;
    tasks: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
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
}>;
export type Batch = Static<typeof Batch>;
export declare const BatchCreate: import("@sinclair/typebox").TObject<{
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    reason: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    tasks: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        description?: string | null | undefined;
        priority?: "high" | "medium" | "low" | null | undefined;
        due_date?: string | null | undefined;
        session_id?: string | null | undefined;
        title: string;
        status: "pending" | "in_progress" | "completed";
    }>>;
}>;
export type BatchCreate = Static<typeof BatchCreate>;
export declare const BatchPage: import("@sinclair/typebox").TObject<{
    items: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        tasks: {
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
        }[];
        session_id: string | null;
        id: string;
        created_at: string;
        reason: string | null;
    }>>;
    total: import("@sinclair/typebox").TInteger;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
    total_pages: import("@sinclair/typebox").TInteger;
    has_next: import("@sinclair/typebox").TBoolean;
    has_prev: import("@sinclair/typebox").TBoolean;
}>;
export declare const BatchListQuery: import("@sinclair/typebox").TObject<{
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
}>;
export type BatchListQuery = Static<typeof BatchListQuery>;
export declare const LatestBatchQuery: import("@sinclair/typebox").TObject<{
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
}>;
export type LatestBatchQuery = Static<typeof LatestBatchQuery>;
export declare const BatchParams: import("@sinclair/typebox").TObject<{
    batch_id: import("@sinclair/typebox").TString;
}>;
/** The schemas that get a name in the OpenAPI document. */
export declare const batchComponents: (import("@sinclair/typebox").TObject<{
    id: import("@sinclair/typebox").TString;
    session_id: import("@sinclair/typebox").TUnsafe<string | null>;
    reason: import("@sinclair/typebox").TUnsafe<string | null>;
    created_at: import("@sinclair/typebox").TString;
    tasks: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
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
}> | import("@sinclair/typebox").TObject<{
    session_id: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    reason: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<string | null>>;
    tasks: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        description?: string | null | undefined;
        priority?: "high" | "medium" | "low" | null | undefined;
        due_date?: string | null | undefined;
        session_id?: string | null | undefined;
        title: string;
        status: "pending" | "in_progress" | "completed";
    }>>;
}> | import("@sinclair/typebox").TObject<{
    items: import("@sinclair/typebox").TArray<import("@sinclair/typebox").TUnsafe<{
        tasks: {
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
        }[];
        session_id: string | null;
        id: string;
        created_at: string;
        reason: string | null;
    }>>;
    total: import("@sinclair/typebox").TInteger;
    page: import("@sinclair/typebox").TInteger;
    limit: import("@sinclair/typebox").TInteger;
    total_pages: import("@sinclair/typebox").TInteger;
    has_next: import("@sinclair/typebox").TBoolean;
    has_prev: import("@sinclair/typebox").TBoolean;
}>)[];
//# sourceMappingURL=schemas.d.ts.map