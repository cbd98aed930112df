import { Failure } from "../base/failure.ts";
import { silentTracer, type Tracer, type Whole } from "../base/tracer.ts";

/**
 * Traces, if the environment names a collector: by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
 * `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, …), sent as OTLP over HTTP in JSON. Disposing of it sends what is left.
 * Throws `invalid` for a protocol that is not spoken here.
 */
export async function openTraces(env: NodeJS.ProcessEnv, version: string): Promise<Tracer & AsyncDisposable> {
  if (!isWanted(env)) return { ...silentTracer, [Symbol.asyncDispose]: async () => {} };
  const protocol = env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] || env["OTEL_EXPORTER_OTLP_PROTOCOL"];
  if (protocol !== undefined && protocol !== "" && protocol !== "http/json")
    throw new Failure("invalid", `OTEL_EXPORTER_OTLP_PROTOCOL is '${protocol}': only http/json is spoken`);
  // Loaded only for those who want it: it is a tenth of a second of every start.
  const [api, sdk, { OTLPTraceExporter }, resources] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace-node"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const own = resources.resourceFromAttributes({ "service.name": "larder", "service.version": version });
  const { envDetector } = resources;
  const provider = new sdk.NodeTracerProvider({
    resource: own.merge(resources.detectResources({ detectors: [envDetector] })),
    spanProcessors: [new sdk.BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  const tracer = provider.getTracer("larder", version);
  const wholeOf = (context: ReturnType<typeof api.context.active>): Whole => ({
    within: (work) => api.context.with(context, work),
  });
  const failed = (span: ReturnType<typeof tracer.startSpan>, failure: unknown) => {
    const { code, message } = Failure.from(failure);
    span.setStatus({ code: api.SpanStatusCode.ERROR, message: `${code}: ${message}` });
  };
  return {
    span: (name, attributes, work) =>
      tracer.startActiveSpan(name, { attributes }, async (span) => {
        try {
          return await work();
        } catch (error) {
          failed(span, error);
          throw error;
        } finally {
          span.end();
        }
      }),
    open: (name, attributes) => {
      const span = tracer.startSpan(name, { attributes });
      return {
        end: (failure) => {
          if (failure !== undefined) failed(span, failure);
          span.end();
        },
      };
    },
    here: () => wholeOf(api.context.active()),
    apart: wholeOf(api.ROOT_CONTEXT),
    [Symbol.asyncDispose]: async () => {
      await provider.shutdown();
      api.trace.disable();
      api.context.disable();
    },
  };
}

function isWanted(env: NodeJS.ProcessEnv): boolean {
  if (env["OTEL_SDK_DISABLED"] === "true") return false;
  if (!["", "otlp"].includes(env["OTEL_TRACES_EXPORTER"] ?? "")) return false;
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_EXPORTER_OTLP_ENDPOINT: common } = env;
  return (own ?? "") !== "" || (common ?? "") !== "";
}
