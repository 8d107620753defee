/**
 * Checks input against the schemas and says what is wrong in words that a language model can act on: the
 * field, the rule, the names or values that exist, and the one it probably meant. Nothing is coerced and nothing
 * is dropped; the one exception are the numbers of a query, which arrive as text.
 */
import type { TSchema } from '@sinclair/typebox';
import { type ErrorObject, type ValidateFunction } from 'ajv';
/** One thing that is wrong with the input. */
export interface Mistake {
    /** Where it is: `title`, `tasks[3].status`; empty for the whole. */
    path: string;
    message: string;
    /** The values or names that exist there. */
    allowed?: (string | null)[];
    /** The allowed one that was probably meant. Never applied by itself. */
    did_you_mean?: string;
}
/** A compiler of schemas, to which the named components are known. */
export declare function createCompiler(components: object[]): (schema: object) => ValidateFunction;
/** Reads the whole numbers of a query in place; what is no plain number is left for the check to refuse. */
export declare function readIntegers(schema: TSchema, query: Record<string, unknown>): void;
/**
 * What failed checks found: the first `most` places, a mistake each, and how many places there are. A request may be
 * wrong in half a million places: only those that are told are looked into.
 */
export declare function explain(errors: readonly ErrorObject[], most: number): {
    mistakes: Mistake[];
    count: number;
};
//# sourceMappingURL=validation.d.ts.map