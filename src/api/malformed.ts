import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** Answers what could not be read as a request, and ends the connection. */
export function answerMalformed(socket: Duplex, code: number, message: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify({ code, message });
  const head = [
    `HTTP/1.1 ${code} ${STATUS_CODES[code]}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  socket.once("finish", () => socket.destroy());
}
