import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const guestProgram = fileURLToPath(new URL("./guest/main.ts", import.meta.url));
const home = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The agent as one CommonJS file, for the Node that lies beside it on the agent disk. The same sources give
 * the same bytes, wherever this runs: templates are made anew when they change.
 */
export async function bundleGuest(entryPoint = guestProgram): Promise<Buffer> {
  const { outputFiles } = await build({
    entryPoints: [entryPoint],
    absWorkingDir: home, // the bundle names its parts by paths from here
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node24",
    minifySyntax: true,
    legalComments: "none",
    logLevel: "silent",
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error("esbuild gave no file");
  return Buffer.from(file.contents);
}
