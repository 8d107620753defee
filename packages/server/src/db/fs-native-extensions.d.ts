declare module 'fs-native-extensions' {
  /** Locks a range of an open file for this handle; false when another handle holds it. */
  export function tryLock(fd: number, offset: number, length: number): boolean
}
