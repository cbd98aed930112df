import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import { Sandbox } from "e2b";
import { systemClock as clock } from "../../src/base/clock.ts";
import { Failure } from "../../src/base/failure.ts";
import { systemRandom as random } from "../../src/base/random.ts";
import { MemoryMeter } from "../../src/base/testing/memory-meter.ts";
import type { Bucket, ObjectInfo } from "../../src/bucket/bucket.ts";
import { DirectoryBucket } from "../../src/bucket/directory-bucket.ts";
import { describeBucket } from "../../src/bucket/testing/bucket-contract.ts";
import { FaultProxy, type HttpFault } from "../../src/bucket/testing/fault-proxy.ts";
import { openFakeBucket } from "../../src/bucket/testing/open-fake-bucket.ts";
import { serve, sharedData } from "./testing/served.ts";
import { type S3Server, startS3Server } from "./testing/s3-server.ts";

const never = new AbortController().signal;
const mebibyte = 2 ** 20;

describe("A real S3 server", () => {
  let server: S3Server;
  let sdk: S3Client;
  let prefixes = 0;

  before(async () => {
    server = await startS3Server();
    const { url: endpoint, ...credentials } = server;
    sdk = new S3Client({ endpoint, forcePathStyle: true, region: "us-east-1", credentials });
    await sdk.send(new CreateBucketCommand({ Bucket: "templates" }));
  });
  after(async () => {
    sdk?.destroy();
    await server?.[Symbol.asyncDispose]();
  });

  /** A bucket of its own: below a prefix that nobody had. */
  const open = (url = server.url, changed = {}) =>
    openFakeBucket({
      ...{ speaks: "s3", url, prefix: `p${prefixes++}`, clock, random, meter: new MemoryMeter() },
      changed,
    });

  describeBucket("RemoteBucket at a real S3 server", async () => open());

  it("takes a large file in parts, and gives back the same", async () => {
    await using held = await fileOf(18 * mebibyte + 12_345);
    await using bucket = open(server.url, { partBytes: 5 * mebibyte });
    const { bytes } = await bucket.put("big", held.file, { ifNoneMatch: "*" }, never);
    assert.equal(bytes, held.file.bytes);
    assert.equal(await digestOf(bucket, "big"), held.digest);
    const again = bucket.put("big", held.file, { ifNoneMatch: "*" }, never);
    await assert.rejects(again, (error) => Failure.is(error, "conflict"));
    assert.deepEqual(await uploads(), []);
  });

  it("keeps nothing of an upload in parts that failed, or whose caller left", async () => {
    await using held = await fileOf(18 * mebibyte);
    await using proxy = await FaultProxy.start(server.url);
    await using bucket = open(proxy.url, { partBytes: 5 * mebibyte });
    proxy.plan = ({ url }) =>
      url.includes("partNumber=3") ? { kind: "answer", status: 403, body: "" } : undefined;
    await assert.rejects(bucket.put("big", held.file, {}, never), (error) => Failure.is(error, "denied"));
    const leaving = new AbortController();
    proxy.plan = ({ url }) => {
      if (url.includes("partNumber=3")) leaving.abort(new Failure("cancelled", "gone"));
      return undefined;
    };
    const left = bucket.put("big", held.file, {}, leaving.signal);
    await assert.rejects(left, (error) => Failure.is(error, "cancelled"));
    await assert.rejects(bucket.head("big", never), (error) => Failure.is(error, "not_found"));
    assert.deepEqual(await uploads(), []);
  });

  it("C27: goes on with an upload in parts that a former process has left", async () => {
    await using held = await fileOf(18 * mebibyte);
    await using proxy = await FaultProxy.start(server.url);
    const prefix = "resumed";
    const options = { speaks: "s3" as const, url: proxy.url, prefix, clock, random };
    const bucketOf = () =>
      openFakeBucket({ ...options, meter: new MemoryMeter(), changed: { partBytes: 5 * mebibyte } });
    const leaving = new AbortController();
    const resume = { noteAt: `${held.file.path}.upload`, leaving: leaving.signal };
    const body = { ...held.file, resume };
    await using first = bucketOf();
    proxy.plan = ({ url }) => {
      // Parts 1 to 3 are on their way with it, and have come by then.
      if (url.includes("partNumber=4"))
        setTimeout(() => leaving.abort(new Failure("cancelled", "gone")), 1_500);
      return url.includes("partNumber=4") ? { kind: "silent" } : undefined;
    };
    await assert.rejects(first.put("big", body, {}, leaving.signal));
    assert.deepEqual(await uploads(), [`${prefix}/big`]);
    const put: string[] = [];
    proxy.plan = ({ method, url }) => {
      if (method === "PUT") put.push(url.replace(/.*partNumber=(\d+).*/, "$1"));
      return undefined;
    };
    await using second = bucketOf();
    await second.put("big", body, {}, never);
    assert.deepEqual(put, ["4"]);
    assert.equal(await digestOf(second, "big"), held.digest);
    assert.deepEqual(await uploads(), []);
  });

  it("is read right through a network that misbehaves", async () => {
    await using held = await fileOf(6 * mebibyte);
    await using proxy = await FaultProxy.start(server.url);
    await using bucket = open(proxy.url, { http: { connectMsMax: 2_000, stallMsMax: 500 } });
    await bucket.put("key", held.file, {}, never);
    const passing: HttpFault[] = [
      { kind: "reset", afterBytes: 0, forwarded: false },
      { kind: "reset", afterBytes: 3 * mebibyte },
      { kind: "stall", afterBytes: 2 * mebibyte },
      { kind: "short", bytes: 100_000, saysSo: false },
      { kind: "short", bytes: 100_000, saysSo: true },
      { kind: "long", bytes: 10 },
      { kind: "headers", headers: { "content-range": "bytes 1-6291455/6291456" } },
      { kind: "answer", status: 200, body: "<html>welcome to the hotel</html>" },
      { kind: "answer", status: 503, body: "<Error><Code>SlowDown</Code></Error>" },
      { kind: "slow", pieceBytes: 50_000 },
    ];
    for (const fault of passing) {
      let left = 1;
      proxy.plan = ({ method }) => (method === "GET" && left-- > 0 ? fault : undefined);
      assert.equal(await digestOf(bucket, "key"), held.digest, JSON.stringify(fault));
    }
  });

  it("refuses strangers with a sentence", async () => {
    const url = server.url.replace("127.0.0.1", "localhost");
    await using bucket = openFakeBucket({
      ...{ speaks: "s3", url, clock, random, meter: new MemoryMeter() },
      keys: { accessKeyId: server.accessKeyId, secretAccessKey: "another" },
    });
    const error = await bucket.list("", {}, never).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(Failure.is(error, "denied"));
    assert.match(error.message, /SignatureDoesNotMatch.*check the credentials/);
  });

  it("lends a daemon the template that was published to it, through a network that misbehaves", async () => {
    await using data = await ownData();
    await using proxy = await FaultProxy.start(server.url);
    await using bucket = openFakeBucket({
      ...{ speaks: "s3", url: server.url, prefix: "published", clock, random, meter: new MemoryMeter() },
    });
    await using published = new DirectoryBucket(path.join(sharedData(), "bucket"));
    await copyAll(published, path.join(sharedData(), "bucket"), bucket);
    let asked = 0;
    proxy.plan = ({ method }) => {
      if (method !== "GET" || asked++ % 9 !== 4) return undefined;
      return asked % 2 === 0
        ? { kind: "reset", afterBytes: 50_000 }
        : { kind: "answer", status: 503, body: "" };
    };
    const env = {
      LARDER_BUCKET: `s3://templates/published?endpoint=${proxy.url}&region=us-east-1`,
      AWS_ACCESS_KEY_ID: server.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    };
    await using served = await serve(env, data.directory);
    const sandbox = await Sandbox.create({ ...served.sdk, requestTimeoutMs: 200_000 });
    const { stdout } = await sandbox.commands.run("cat /etc/debian_version && echo from afar");
    assert.match(stdout, /from afar/);
    await sandbox.kill();
    assert.ok((await served.metric("larder_fetched_bytes_total")) > mebibyte);
    assert.ok((await served.metric("larder_bucket_retries_total")) > 0);
    const { stdout: settings } = await served.larder("config", "--json");
    for (const text of [served.printed(), settings])
      assert.ok(!text.includes(server.secretAccessKey) && !text.includes("Signature="));
  });

  async function uploads(): Promise<string[]> {
    const { Uploads = [] } = await sdk.send(new ListMultipartUploadsCommand({ Bucket: "templates" }));
    return Uploads.map(({ Key }) => Key ?? "");
  }
});

async function digestOf(bucket: Bucket, key: string): Promise<string> {
  const sum = createHash("sha256");
  for await (const piece of bucket.read(key, undefined, never)) sum.update(piece);
  return sum.digest("hex");
}

/** Puts all objects of a directory that is a bucket, each manifest after what it tells of, as publishing does. */
async function copyAll(from: DirectoryBucket, root: string, to: Bucket): Promise<void> {
  const { objects, next } = await from.list("", {}, never);
  assert.equal(next, undefined);
  const last = ({ key }: ObjectInfo) => (key.endsWith("manifest.json") ? 1 : 0);
  for (const { bytes, key } of objects.toSorted((a, b) => last(a) - last(b)))
    await to.put(key, { path: path.join(root, key), bytes }, { ifNoneMatch: "*" }, never);
}

/** A data directory that knows the templates of the shared one, and has nothing of them. */
async function ownData() {
  const directory = await mkdtemp("/var/tmp/larder-s3-data-");
  for (const name of await readdir(sharedData()))
    if (name.startsWith("larder.db"))
      await copyFile(path.join(sharedData(), name), path.join(directory, name));
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

/** A file of random bytes. */
async function fileOf(bytes: number) {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-object-"));
  const content = randomBytes(bytes);
  const file = { path: path.join(directory, "file"), bytes };
  await writeFile(file.path, content);
  const digest = createHash("sha256").update(content).digest("hex");
  return { file, digest, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}
