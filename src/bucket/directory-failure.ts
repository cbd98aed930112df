import { Failure, type FailureCode } from "../base/failure.ts";

/** What an error of the file system says about an object; whatever else it may be, the bucket was not reached. */
export function directoryFailure(error: unknown, key: string): Failure {
  if (error instanceof Failure) return error;
  const { code: name, errno } = error as NodeJS.ErrnoException;
  const [code, what] = meanings.get(name ?? "") ?? [Failure.from(error).code, "could not be reached"];
  const kind = code === "internal" && errno !== undefined ? "unavailable" : code;
  return new Failure(kind, `${key} ${what}`, { cause: error });
}

const missing: readonly [FailureCode, string] = ["not_found", "is not in the bucket"];
const misplaced: readonly [FailureCode, string] = [
  "invalid",
  "cannot lie where a folder or a file of others is",
];

const meanings = new Map<string, readonly [FailureCode, string]>([
  ["ENOENT", missing],
  ["ENOTDIR", missing],
  ["ELOOP", missing],
  ["EEXIST", ["conflict", "exists already"]],
  ["EISDIR", misplaced],
  ["ENOTEMPTY", misplaced],
  ["ENAMETOOLONG", ["invalid", "is too long a key"]],
  ["EROFS", ["denied", "cannot be written: the file system is read-only"]],
]);
