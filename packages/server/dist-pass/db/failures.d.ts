/** Why a statement failed, as far as it matters outside: the database could not be asked, or something else. */
/** The error of the driver below the one that Drizzle wraps around it, which quotes SQL and parameters. */
export declare function driverError(error: unknown): {
    code?: unknown;
    message?: unknown;
};
/** Whether a statement gave up waiting for another that holds its rows. */
export declare const isLocked: (error: unknown) => boolean;
/** Whether the database is away or overloaded, so that the same call may succeed later. */
export declare function isUnavailable(error: unknown): boolean;
//# sourceMappingURL=failures.d.ts.map