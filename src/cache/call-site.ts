/** Parts of a path that are shown: the file and the folder it lies in. */
const partsShown = 2;

/** Where the function that asks was called from, as `folder/file.ts:line`; for reports that people read. */
export function callSite(): string {
  const [, , , caller = ""] = new Error("for its stack").stack?.split("\n") ?? [];
  const [, file, line] = /([^\s(]+):(\d+):\d+\)?$/.exec(caller) ?? [];
  if (file === undefined) return "unknown";
  return `${file.split("/").slice(-partsShown).join("/")}:${line}`;
}
