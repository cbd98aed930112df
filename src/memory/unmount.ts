import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Takes a mount away from its place, whoever still uses it and whatever has become of its server: nothing of it is
 * looked at, which might hang. False when there is none.
 */
export async function unmountLazily(mountPoint: string): Promise<boolean> {
  const args = ["--lazy", "--no-canonicalize", "--internal-only", mountPoint];
  const umount = spawn("umount", args, { stdio: "ignore" });
  const [code] = (await once(umount, "close").catch(() => [undefined])) as [unknown];
  return code === 0;
}
