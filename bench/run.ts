import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";

// `npm run bench -- NAME [ARGUMENTS]` runs bench/NAME.ts. Its last line is one JSON object.
const [name = "", ...rest] = process.argv.slice(2);
const parts =
  /^(run|medians|bare-machine|bench-node|floor|proportional-bytes|raw-socket|nbd-.*|fetch-.*|fanout-.*)$/;
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => path.basename(file, ".ts"))
  .filter((each) => !parts.test(each));
if (names.includes(name)) {
  const file = path.join(import.meta.dirname, `${name}.ts`);
  process.exitCode = spawnSync(process.execPath, [file, ...rest], { stdio: "inherit" }).status ?? 1;
} else {
  console.error(`which bench? one of: ${names.join(", ")}`);
  process.exitCode = 2;
}
