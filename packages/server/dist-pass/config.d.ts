import { type Static } from '@sinclair/typebox';
/** Every setting, under the name of its environment variable. */
declare const Config: import("@sinclair/typebox").TObject<{
    HOST: import("@sinclair/typebox").TString;
    PORT: import("@sinclair/typebox").TInteger;
    DATABASE_URL: import("@sinclair/typebox").TString;
    DATABASE_POOL_SIZE: import("@sinclair/typebox").TInteger;
    DATABASE_START_TIMEOUT_MS: import("@sinclair/typebox").TInteger;
    STATEMENT_TIMEOUT_MS: import("@sinclair/typebox").TInteger;
    LOCK_TIMEOUT_MS: import("@sinclair/typebox").TInteger;
    REQUEST_TIMEOUT_MS: import("@sinclair/typebox").TInteger;
    SHUTDOWN_TIMEOUT_MS: import("@sinclair/typebox").TInteger;
    IDEMPOTENCY_KEY_DAYS: import("@sinclair/typebox").TInteger;
    LOG_LEVEL: import("@sinclair/typebox").TUnsafe<"error" | "trace" | "fatal" | "warn" | "info" | "debug" | "silent">;
    LOG_FORMAT: import("@sinclair/typebox").TOptional<import("@sinclair/typebox").TUnsafe<"json" | "pretty">>;
}>;
export type Config = Static<typeof Config>;
/** A setting is wrong; the message names it. */
export declare class ConfigError extends Error {
}
/** The environment of the process over what a file .env in the working directory says. */
export declare function readEnvironment(): Record<string, string | undefined>;
/** Reads and checks the settings; an empty value counts as not set. Throws {@link ConfigError}. */
export declare function loadConfig(environment: Record<string, string | undefined>): Config;
export {};
//# sourceMappingURL=config.d.ts.map