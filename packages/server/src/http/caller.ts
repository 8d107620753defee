/** Who calls, as far as the features need to know; how a caller proves it is told elsewhere in this folder. */

/** What a caller may do. */
export const SCOPES = ['tasks:read', 'tasks:write'] as const
export type Scope = (typeof SCOPES)[number]

export interface Caller {
  /** Unique among callers, for logs and for what is kept per caller. */
  name: string
  scopes: readonly Scope[]
  /** The sessions whose tasks and batches it sees and writes, in lower case; every one and those without, unless given. */
  sessions?: readonly string[]
}

/** Everybody, where the network is trusted and no keys are set. */
export const anonymous: Caller = { name: 'anonymous', scopes: SCOPES }
