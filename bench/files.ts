// How fast files pass between daemon and guest, each way, and how long another call takes meanwhile: uploads and
// downloads of one size in turn, to memory (/dev/shm) so that no disk is measured. Needs a template in LARDER_DATA.
import { Readable } from "node:stream";
import { systemRandom as random } from "../src/base/random.ts";
import { benchNode } from "./bench-node.ts";
import { median, rounded, since } from "./medians.ts";

const rounds = Number(process.argv[2] ?? 5);
const mib = Number(process.argv[3] ?? 32);
const pieceBytes = 64 * 1024;
const file = "/dev/shm/bench";

const signal = AbortSignal.timeout(30 * 60_000);
await using node = await benchNode(process.env, signal);
const { sandboxes, machine } = node;
const settings = { metadata: {}, envs: {}, secure: false, allowInternet: false };
const { id } = await sandboxes.create({ template: "base", timeoutMs: 1_800_000, ...settings }, signal);
const channel = sandboxes.channel(id);
const path = `/files?path=${file}`;

/** Random, so that nothing on the way can make it smaller. */
const piece = random.bytes(pieceBytes);

async function upload(): Promise<number> {
  const pieces = Array.from({ length: (mib * 1024 * 1024) / pieceBytes }, () => piece);
  const headers = { "content-type": "application/octet-stream" };
  const started = performance.now();
  const { status, body } = await channel.request(
    { method: "POST", path, headers, body: Readable.from(pieces) },
    signal,
  );
  for await (const _ of body as AsyncIterable<Buffer>);
  if (status !== 200) throw new Error(`the upload was answered with ${status}`);
  return since(started);
}

async function download(): Promise<number> {
  const started = performance.now();
  const { body } = await channel.request({ method: "GET", path, headers: {} }, signal);
  let bytes = 0;
  for await (const each of body as AsyncIterable<Buffer>) bytes += each.length;
  if (bytes !== mib * 1024 * 1024) throw new Error(`${bytes} bytes came back`);
  return since(started);
}

/** Does it, and meanwhile asks again and again how the agent is; the times of those answers go to `asides`. */
async function withAsides(transfer: () => Promise<number>, asides: number[]): Promise<number> {
  const over = new AbortController();
  const took = transfer().finally(() => over.abort());
  while (!over.signal.aborted) {
    const started = performance.now();
    const { body } = await channel.request({ method: "GET", path: "/health", headers: {} }, signal);
    for await (const _ of body as AsyncIterable<Buffer>);
    if (!over.signal.aborted) asides.push(since(started));
  }
  return await took;
}

const up: number[] = [];
const down: number[] = [];
const asides: number[] = [];
for (let round = 0; round < rounds; round++) {
  up.push((mib * 1000) / (await upload()));
  down.push((mib * 1000) / (await download()));
  console.log(`round ${round + 1}: up ${rounded(up.at(-1) ?? 0)}, down ${rounded(down.at(-1) ?? 0)} MiB/s`);
}
await withAsides(upload, asides);
await withAsides(download, asides);
await sandboxes.kill(id);
const speeds = { upMibPerSecond: rounded(median(up)), downMibPerSecond: rounded(median(down)) };
const meanwhile = { asideMs: rounded(median(asides)), asideMsMax: rounded(Math.max(...asides)) };
console.log(JSON.stringify({ bench: "files", rounds, mib, ...machine, ...speeds, ...meanwhile }));
