/** Who calls, as far as the features need to know; how a caller proves it is told elsewhere in this folder. */
/** What a caller may do. */
export const SCOPES = ['tasks:read', 'tasks:write'];
/** Everybody, where the network is trusted and no keys are set. */
export const anonymous = { name: 'anonymous', scopes: SCOPES };
//# sourceMappingURL=caller.js.map