import { dlopen } from "node:process";

/** What of koffi is used. The native module alone offers it, so the agent disk needs no package around it. */
export type Koffi = Pick<typeof import("koffi"), "load" | "errno" | "os" | "address" | "view">;

/** Loads koffi's native module from a file. */
export function loadKoffi(path: string): Koffi {
  const module = { exports: {} };
  dlopen(module, path);
  return module.exports as Koffi;
}

/** A C function as koffi binds it. */
export type Foreign<Args extends unknown[], Result = number> = (...args: Args) => Result;

/** The error of the system call that just failed, as Node throws its own. */
export function errnoError(koffi: Koffi, call: string, subject = ""): NodeJS.ErrnoException {
  const errno = koffi.errno();
  const code = Object.entries(koffi.os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
  const message = `${code}: ${call}${subject === "" ? "" : ` '${subject}'`}`;
  return Object.assign(new Error(message), { code, errno: -errno, syscall: call });
}
