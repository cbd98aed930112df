import { hash } from "node:crypto";
import { Failure } from "../base/failure.ts";

/** How many bytes the seal takes: the text around it and 64 hex digits. */
const sealBytes = sealOf("").length;

/** An object as JSON whose last field, `sha256`, is the digest of every byte before it. Layout: docs/formats.md. */
export function seal(value: object): Buffer {
  const text = JSON.stringify(value, null, 1);
  const body = Buffer.from(text.slice(0, -"\n}".length));
  return Buffer.concat([body, sealOf(body)]);
}

/**
 * The object that was sealed, its `sha256` field left out. Throws `corrupt` when a single byte is missing, added or
 * changed. `what` is the subject of the sentence.
 */
export function unseal(bytes: Uint8Array, what: string): unknown {
  const body = bytes.subarray(0, Math.max(0, bytes.length - sealBytes));
  if (!sealOf(body).equals(bytes.subarray(body.length))) {
    throw new Failure("corrupt", `${what} is damaged: its seal does not fit`);
  }
  try {
    return JSON.parse(`${new TextDecoder("utf-8", { fatal: true }).decode(body)}\n}`) as unknown;
  } catch (error) {
    throw new Failure("corrupt", `${what} is no JSON`, { cause: error });
  }
}

function sealOf(body: string | Uint8Array): Buffer {
  return Buffer.from(`,\n "sha256": "${hash("sha256", body)}"\n}\n`);
}
