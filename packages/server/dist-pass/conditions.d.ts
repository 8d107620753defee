/** The headers of a route that changes a task. */
export declare const ChangeHeaders: import("@sinclair/typebox").TObject<{
    'If-Match': import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
}>;
/** The headers of a route that reads a task. */
export declare const ReadHeaders: import("@sinclair/typebox").TObject<{
    'If-None-Match': import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TString>;
}>;
/** The header of an answer that is one task. */
export declare const etagHeader: {
    ETag: {
        type: string;
        description: string;
    };
};
/** The entity tag of a version. */
export declare const etagOf: (version: string) => string;
/** The versions that an If-Match names; undefined when it names none and any will do. A weak tag matches none. */
export declare function versionsOf(ifMatch: string | undefined): string[] | undefined;
/** Whether an If-None-Match names the version. */
export declare function isKnown(ifNoneMatch: string | undefined, version: string): boolean;
//# sourceMappingURL=conditions.d.ts.map