export interface MetricDeclaration {
  readonly kind: "counter" | "gauge" | "seconds";
  readonly help: string;
  readonly labels?: readonly string[];
}

/** Every metric there is. A room that measures something new adds its line here; a test holds the two together. */
export const declaredMetrics: Readonly<Record<string, MetricDeclaration>> = {
  larder_api_requests_total: counter("Requests to the API", "method", "route", "status"),
  larder_api_request_seconds: seconds("How long requests to the API took", "route"),
  larder_traffic_requests_total: counter("Requests that were passed on into sandboxes", "to", "status"),
};

function counter(help: string, ...labels: string[]): MetricDeclaration {
  return { kind: "counter", help, labels };
}

function seconds(help: string, ...labels: string[]): MetricDeclaration {
  return { kind: "seconds", help, labels };
}
