/**
 * Which of the two codings of a body suits an Accept-Encoding header (RFC 9110, 12.5.3); undefined when neither does.
 * What the client says nothing about, it takes as it is.
 */
export function codingFor(header: string | string[] | undefined): "gzip" | "identity" | undefined {
  const weights = new Map<string, number>();
  for (const offer of String(header ?? "").split(",")) {
    const [name = "", ...parameters] = offer.split(";").map((each) => each.trim().toLowerCase());
    const quality = parameters.find((each) => each.startsWith("q="))?.slice(2) ?? "1";
    if (name !== "") weights.set(name, Number(quality) || 0);
  }
  const rest = weights.get("*");
  if ((weights.get("gzip") ?? weights.get("x-gzip") ?? rest ?? 0) > 0) return "gzip";
  return (weights.get("identity") ?? rest ?? 1) > 0 ? "identity" : undefined;
}
