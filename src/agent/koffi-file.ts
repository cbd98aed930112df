import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Where koffi's native module for this architecture (glibc) lies: the guest program loads it from beside itself. */
export function koffiFile(arch: string = process.arch): string {
  const require = createRequire(createRequire(import.meta.url).resolve("koffi"));
  const loader = require.resolve(`@koromix/koffi-linux-${arch}`);
  return join(dirname(loader), `linux_${arch}`, "koffi.node");
}
