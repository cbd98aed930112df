import { join, resolve } from "node:path";
import { Failure } from "../../base/failure.ts";

export interface PathContext {
  readonly home: string;
  /** Where an empty path leads; missing: the home. */
  readonly defaultWorkdir: string | undefined;
}

/** The absolute path that a client means: `~` and relative paths start at the user's home. */
export function resolvePath(path: string, { home, defaultWorkdir }: PathContext): string {
  if (path.includes("\0")) throw new Failure("invalid", "a path holds no NUL bytes");
  if (path === "") return defaultWorkdir === undefined ? resolve(home) : resolve(home, defaultWorkdir);
  if (path === "~" || path.startsWith("~/")) return resolve(join(home, path.slice(1)));
  if (path.startsWith("~")) throw new Failure("invalid", `'${path}': only the own home is known as ~`);
  return resolve(home, path);
}
