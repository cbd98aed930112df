import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { VirtualClock } from "../../base/testing/virtual-clock.ts";
import { checkFilesAccess, readQuery } from "./files-access.ts";

const clock = new VirtualClock();
const token = "the-token";

function signed(parts: string): string {
  return `v1_${createHash("sha256").update(parts).digest("base64").replaceAll("=", "")}`;
}

function verdict(url: string, header?: string, operation: "read" | "write" = "read"): string {
  try {
    checkFilesAccess(operation, readQuery(url), header, token, clock);
    return "allowed";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("checkFilesAccess", () => {
  it("lets in whoever bears the token, and turns a wrong one away even with a good signature", () => {
    assert.equal(verdict("/files?path=a", token), "allowed");
    const url = `/files?path=a&signature=${encodeURIComponent(signed(`a:read::${token}`))}`;
    assert.match(verdict(url, "wrong"), /does not match/);
  });

  it("lets in whoever signed this path, operation, user and time", () => {
    const expiration = Math.floor(clock.now() / 1000) + 10;
    const signature = encodeURIComponent(signed(`~/a b:read:ada:${token}:${expiration}`));
    const query = `username=ada&signature=${signature}&signature_expiration=${expiration}`;
    assert.equal(verdict(`/files?path=${encodeURIComponent("~/a b")}&${query}`), "allowed");
    assert.equal(verdict(`/files?path=other&${query}`), "invalid signature");
    assert.equal(
      verdict(`/files?path=${encodeURIComponent("~/a b")}&${query}`, undefined, "write"),
      "invalid signature",
    );
  });

  it("looks at the signature first and at its time then", () => {
    const past = Math.floor(clock.now() / 1000) - 1;
    const good = encodeURIComponent(signed(`a:read::${token}:${past}`));
    assert.equal(
      verdict(`/files?path=a&signature=${good}&signature_expiration=${past}`),
      "signature is already expired",
    );
    assert.equal(verdict(`/files?path=a&signature=v1_x&signature_expiration=${past}`), "invalid signature");
    assert.equal(verdict("/files?path=a"), "missing signature query parameter");
  });

  it("never takes a time that is no number", () => {
    const signature = encodeURIComponent(signed(`a:read::${token}:soon`));
    assert.equal(
      verdict(`/files?path=a&signature=${signature}&signature_expiration=soon`),
      "signature is already expired",
    );
  });

  it("asks for nothing where there is no token", () => {
    checkFilesAccess("write", readQuery("/files?path=a"), undefined, undefined, clock);
  });
});
