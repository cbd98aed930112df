import { errnoError, type Foreign, type Koffi } from "./foreign.ts";

/** A client's own pairs about a file, as extended attributes beside its content. */
export interface Metadata {
  /** What is kept about the file that `path` leads to. Empty where there is none, or nothing can be kept. */
  read(path: string): Record<string, string>;
  /** Replaces all that was kept before. */
  replace(path: string, pairs: ReadonlyMap<string, string>): void;
}

const prefix = "user.e2b.";
const namesBytesMax = 64 * 1024;
const valueBytesMax = 64 * 1024;

/** By system calls that Node lacks. */
export function metadataOf(koffi: Koffi): Metadata {
  const libc = koffi.load(null);
  const bind = <Args extends unknown[]>(signature: string) =>
    libc.func(signature) as unknown as Foreign<Args>;
  const list = bind<[string, Buffer, number]>("long listxattr(const char *, void *, size_t)");
  const get = bind<[string, string, Buffer, number]>(
    "long getxattr(const char *, const char *, void *, size_t)",
  );
  const set = bind<[string, string, Buffer, number, number]>(
    "int setxattr(const char *, const char *, const void *, size_t, int)",
  );
  const remove = bind<[string, string]>("int removexattr(const char *, const char *)");
  const buffer = Buffer.allocUnsafeSlow(Math.max(namesBytesMax, valueBytesMax));
  const namesAt = (path: string): string[] => {
    const bytes = list(path, buffer, namesBytesMax);
    if (bytes <= 0) return []; // nothing there, or a file system that keeps none
    const names = buffer.toString("utf8", 0, bytes).split("\0");
    return names.filter((name) => name.startsWith(prefix));
  };
  return {
    read(path) {
      const pairs = namesAt(path).map((name) => {
        const bytes = get(path, name, buffer, valueBytesMax);
        return [name.slice(prefix.length), buffer.toString("utf8", 0, Math.max(0, bytes))] as const;
      });
      return Object.fromEntries(pairs);
    },
    replace(path, pairs) {
      for (const name of namesAt(path)) remove(path, name);
      for (const [name, value] of pairs) {
        const bytes = Buffer.from(value);
        if (set(path, prefix + name, bytes, bytes.length, 0) !== 0) throw errnoError(koffi, "setxattr", path);
      }
    },
  };
}
