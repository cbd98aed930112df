import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { collector } from "./testing/collector.ts";
import { openTraces } from "./traces.ts";

describe("openTraces", () => {
  it("sends what belongs to what to the collector that the environment names", async () => {
    using seen = await collector();
    // The exporter reads these by itself.
    const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: seen.url, OTEL_RESOURCE_ATTRIBUTES: "node=a" };
    Object.assign(process.env, variables);
    try {
      await using tracer = await openTraces(process.env, "1.2.3");
      await tracer.span("create", { template: "base" }, async () => {
        await tracer.span("lease", {}, async () => {});
        const here = tracer.here();
        // As from another thread: nothing is under way where it comes from.
        tracer.apart.within(() => {
          tracer.open("of nothing", {}).end();
          here.within(() => tracer.open("of a guest", {})).end();
        });
        const failing = tracer.span("restore", {}, async () => {
          const span = tracer.open("fetch chunks", { count: 16 });
          await new Promise((resolve) => setImmediate(resolve));
          span.end(new Failure("unavailable", "the bucket is away"));
          throw new Failure("unavailable", "no memory");
        });
        await assert.rejects(failing, /no memory/);
      });
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name];
    }
    const by = new Map(seen.spans.map((span) => [span.name, span]));
    const parentOf = (name: string) =>
      seen.spans.find(({ spanId }) => spanId === by.get(name)?.parentSpanId)?.name;
    assert.deepEqual(
      ["create", "lease", "restore", "fetch chunks", "of nothing", "of a guest"].map((name) => [
        name,
        parentOf(name),
      ]),
      [
        ["create", undefined],
        ["lease", "create"],
        ["restore", "create"],
        ["fetch chunks", "restore"],
        ["of nothing", undefined],
        ["of a guest", "create"],
      ],
    );
    assert.deepEqual(by.get("create")?.attributes, [{ key: "template", value: { stringValue: "base" } }]);
    assert.equal(by.get("restore")?.status.message, "unavailable: no memory");
    assert.equal(by.get("fetch chunks")?.status.message, "unavailable: the bucket is away");
    assert.match(seen.resources[0] ?? "", /"larder".*"1\.2\.3"/);
    assert.match(seen.resources[0] ?? "", /"node"/);
  });

  it("says nothing to anybody unless it is asked to", async () => {
    const url = "http://127.0.0.1:1";
    const none = [{}, { OTEL_SDK_DISABLED: "true" }, { OTEL_TRACES_EXPORTER: "none" }];
    for (const more of none) {
      const env = Object.keys(more).length === 0 ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: url, ...more };
      await using tracer = await openTraces(env, "1");
      assert.equal(await tracer.span("create", {}, async () => 7), 7);
      tracer.open("fetch chunks", {}).end();
    }
  });

  it("refuses protocols that it does not speak, by name", async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
    await assert.rejects(openTraces(env, "1"), {
      code: "invalid",
      message: "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc': only http/json is spoken",
    });
  });
});
