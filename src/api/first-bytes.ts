/** What a connection speaks, told by the first bytes that its client sends. */
export type Protocol = "tls" | "http2" | "http1";

/** A TLS record that carries a handshake (RFC 8446, 5.1). */
const handshakeRecord = 0x16;
/** How HTTP/2 begins where nothing was negotiated before (RFC 9113, 3.4); no method of HTTP/1 starts like that. */
const preface = "PRI * HTTP/2.0";

/** Undefined as long as more bytes are needed to tell. */
export function protocolOf(bytes: Uint8Array): Protocol | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === handshakeRecord) return "tls";
  const start = Buffer.from(bytes.subarray(0, preface.length)).toString("latin1");
  if (!preface.startsWith(start)) return "http1";
  return start.length === preface.length ? "http2" : undefined;
}
