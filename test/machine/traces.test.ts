import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
import { collector, type SpanSent } from "../../src/daemon/testing/collector.ts";
import { FarBucket } from "./testing/far-bucket.ts";
import { ownData } from "./testing/own-data.ts";
import { serve, sharedData } from "./testing/served.ts";

const factOf = (span: SpanSent, key: string) =>
  span.attributes.find((each) => each.key === key)?.value["stringValue"];

describe("the traces of a daemon", () => {
  it("lead from a create down to each request for chunks, also to those that its guest waits for", async () => {
    using seen = await collector();
    const line = { latencyMs: 5, bytesPerSecond: 200 * 2 ** 20 };
    await using bucket = await FarBucket.start({ from: path.join(sharedData(), "bucket"), ...line });
    await using data = await ownData();
    {
      const env = { ...bucket.environment, OTEL_EXPORTER_OTLP_ENDPOINT: seen.url };
      await using served = await serve(env, data.directory);
      const sandbox = await Sandbox.create({ ...served.sdk, requestTimeoutMs: 120_000 });
      await sandbox.commands.run("cat /usr/lib/x86_64-linux-gnu/*.so* | sha256sum");
      await sandbox.kill();
    }
    const create = seen.spans.find(({ name }) => name === "create") ?? assert.fail("there is no create");
    const fetches = seen.spans.filter(({ name }) => name === "fetch chunks");
    const disk = fetches.filter((span) => factOf(span, "artifact") === "rootfs");
    const [own, others] = [true, false].map((isOwn) =>
      disk.filter(({ traceId }) => (traceId === create.traceId) === isOwn),
    );
    assert.ok((own?.length ?? 0) > 0, "the guest's first reads are parts of the create");
    assert.ok((others?.length ?? 0) > 0, "what a command reads is no part of it");
    const memory = fetches.filter((span) => factOf(span, "artifact") !== "rootfs");
    assert.ok(memory.some(({ traceId }) => traceId === create.traceId));
  });
});
