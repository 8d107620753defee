export {};
//# sourceMappingURL=probe.d.ts.map