/** The one of `candidates` that `word` probably stands for, or undefined when none is near. */
export declare function suggest(word: string, candidates: readonly string[]): string | undefined;
//# sourceMappingURL=suggest.d.ts.map