import { Failure, type FailureCode } from "../../base/failure.ts";

/** What an error of the file system means to a client who named `path`. */
export function fileFailure(error: unknown, path: string): Failure {
  if (error instanceof Failure) return error;
  const { code: errno } = error as NodeJS.ErrnoException;
  const known = errno === undefined ? undefined : meanings.get(errno);
  if (known === undefined) return Failure.from(error);
  return new Failure(known[0], `${known[1]}: ${path}`, { cause: error });
}

const meanings = new Map<string, readonly [FailureCode, string]>([
  ["ENOENT", ["not_found", "path not found"]],
  ["ENOTDIR", ["not_found", "path not found"]],
  ["EISDIR", ["invalid", "path is a directory"]],
  ["ELOOP", ["invalid", "too many symbolic links"]],
  ["ENAMETOOLONG", ["invalid", "path is too long"]],
  ["EINVAL", ["invalid", "path cannot be used like this"]],
  ["ENOTEMPTY", ["invalid", "directory is not empty"]],
  ["EEXIST", ["conflict", "path already exists"]],
  ["EACCES", ["denied", "permission denied"]],
  ["EPERM", ["denied", "operation not permitted"]],
  ["EROFS", ["denied", "file system is read-only"]],
  ["ENOSPC", ["exhausted", "not enough disk space available"]],
  ["EDQUOT", ["exhausted", "not enough disk space available"]],
]);
