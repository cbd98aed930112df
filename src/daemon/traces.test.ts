import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { openTraces } from "./traces.ts";

interface SpanSent {
  readonly name: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

/** Takes what is sent as a collector would. */
async function collector() {
  const spans: SpanSent[] = [];
  const resources: string[] = [];
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      const { resourceSpans } = body as {
        resourceSpans: { resource: unknown; scopeSpans: { spans: SpanSent[] }[] }[];
      };
      for (const { resource, scopeSpans } of resourceSpans) {
        resources.push(JSON.stringify(resource));
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
      }
      response.setHeader("content-type", "application/json").end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { spans, resources, url, [Symbol.dispose]: () => void server.close() };
}

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
      ["create", "lease", "restore", "fetch chunks"].map((name) => [name, parentOf(name)]),
      [
        ["create", undefined],
        ["lease", "create"],
        ["restore", "create"],
        ["fetch chunks", "restore"],
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
