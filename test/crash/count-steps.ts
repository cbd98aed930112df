import { constants, promises } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { StatementSync } from "node:sqlite";

/** What changes a file system, or decides what survives. */
const calls = [
  ...(["mkdir", "mkdtemp", "rename", "link", "unlink", "rm", "rmdir"] as const),
  ...(["writeFile", "copyFile", "chmod", "chown", "truncate"] as const),
] as const;
const handleCalls = ["write", "writev", "writeFile", "appendFile", "truncate", "sync", "datasync"] as const;

type Callable = (...args: never[]) => unknown;
/** Called right before a step; `what` is the file or the statement. What it throws is what the step fails with. */
export type OnStep = (kind: string, what?: string) => void;

/**
 * Has `onStep` called right before everything by which this process changes a disk through Node: calls of the file
 * system, and statements of SQLite. What is imported after this was called is counted.
 */
export async function countSteps(onStep: OnStep): Promise<void> {
  const files = new WeakMap<object, string>();
  const around = (target: object, name: string, isStep: (args: readonly unknown[]) => boolean) => {
    const original = Reflect.get(target, name) as Callable;
    const counted = async function (this: object | undefined, ...args: never[]) {
      const [first] = args as readonly unknown[];
      const path = typeof first === "string" ? first : undefined;
      const what = (this === undefined ? undefined : files.get(this)) ?? path;
      if (isStep(args)) onStep(name, what);
      const answer: unknown = await Reflect.apply(original, this, args);
      if (name === "open" && path !== undefined) files.set(answer as object, path);
      return answer;
    };
    Reflect.set(target, name, counted);
  };
  for (const name of calls) around(promises, name, () => true);
  around(promises, "open", ([, flags]) => isForWriting(flags));
  const handle = await promises.open(import.meta.filename, "r");
  const prototype = Object.getPrototypeOf(handle) as object;
  await handle.close();
  for (const name of handleCalls) around(prototype, name, () => true);
  countStatements(onStep);
  syncBuiltinESMExports();
}

function countStatements(onStep: OnStep): void {
  for (const name of ["run", "all"] as const) {
    const original = StatementSync.prototype[name] as Callable;
    const counted = function (this: StatementSync, ...args: never[]) {
      if (!/^\s*select/i.test(this.sourceSQL)) onStep("sql", this.sourceSQL);
      return Reflect.apply(original, this, args);
    };
    Reflect.set(StatementSync.prototype, name, counted);
  }
}

function isForWriting(flags: unknown): boolean {
  if (typeof flags === "number") return (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
  return typeof flags === "string" && /[wa+]/.test(flags);
}
