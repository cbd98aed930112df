import { readdir, readFile, rm, stat } from "node:fs/promises";

/**
 * The files of builds that were made on this node, as their publication sees them. They are a dependency, so that
 * tests can make them fail, and end a process between any two of them.
 */
export interface MadeFiles {
  /** Names of what lies in a directory. */
  list(directory: string): Promise<string[]>;
  read(file: string): Promise<Buffer>;
  /** How many bytes a file holds. */
  size(file: string): Promise<number>;
  /** Removes a directory with all that is in it; one that is not there is no error. */
  remove(directory: string): Promise<void>;
}

/** Those of the machine's own disk. */
export const realMadeFiles: MadeFiles = {
  list: (directory) => readdir(directory),
  read: (file) => readFile(file),
  size: async (file) => (await stat(file)).size,
  remove: (directory) => rm(directory, { recursive: true, force: true }),
};
