// What a node pays that has nothing of a template: create → the end of the first command, with a bucket behind 20 ms
// and 100 MB/s; without and with what the template reads first being known. Needs a template in LARDER_DATA.
import { readdirSync, statSync } from "node:fs";
import path from "node:path";
import { Sandbox } from "e2b";
import { FarBucket } from "../test/machine/testing/far-bucket.ts";
import { ownData } from "../test/machine/testing/own-data.ts";
import { serve } from "../test/machine/testing/served.ts";
import { median, rounded, since } from "./medians.ts";

const rounds = Number(process.argv[2] ?? 3);
const data = process.env["LARDER_DATA"] ?? path.join(process.env["HOME"] ?? "/", ".local/share/larder");
process.env["LARDER_TEST_DATA"] = data;
const from = path.join(data, "bucket");
const line = { latencyMs: 20, bytesPerSecond: 100e6 };
const templateBytes = readdirSync(path.join(from, "builds"), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .reduce((sum, { name, parentPath }) => sum + statSync(path.join(parentPath, name)).size, 0);

/** One first start; what comes to be known of it stays in the bucket. */
async function cold(bucket: FarBucket) {
  await using own = await ownData();
  await using served = await serve(bucket.environment, own.directory);
  const before = bucket.proxy.bytes;
  const started = performance.now();
  const sandbox = await Sandbox.create({ ...served.sdk, requestTimeoutMs: 120_000 });
  const created = since(started);
  const atAnswer = bucket.proxy.bytes - before;
  await sandbox.commands.run("true");
  const result = { created, first: since(started), atAnswer, atCommand: bucket.proxy.bytes - before };
  await sandbox.kill();
  return result;
}

type Result = Awaited<ReturnType<typeof cold>>;

function summary(results: readonly Result[]) {
  const of = (name: keyof Result) => median(results.map((each) => each[name]));
  return {
    createMs: rounded(of("created")),
    firstCommandMs: rounded(of("first")),
    bytesBeforeAnswer: of("atAnswer"),
    bytesBeforeCommand: of("atCommand"),
    share: rounded(of("atCommand") / templateBytes, 3),
  };
}

await using bucket = await FarBucket.start({ from, ...line });
const without: Result[] = [];
const known: Result[] = [];
for (let round = 0; round < rounds; round++) {
  bucket.forget("read-order.json");
  without.push(await cold(bucket));
  known.push(await cold(bucket));
}
console.log(JSON.stringify({ templateBytes, without: summary(without), known: summary(known) }));
