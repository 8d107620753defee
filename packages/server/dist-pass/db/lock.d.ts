export type FolderLock = {
    acquired: true;
    release: () => Promise<void>;
} | {
    acquired: false;
    holder: string;
};
/** Locks the folder for this process, or tells the id of the process that holds it. */
export declare function lockFolder(folder: string): Promise<FolderLock>;
//# sourceMappingURL=lock.d.ts.map