import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it } from "node:test";
import type { Header } from "../http/http-message.ts";
import { encodeQuery, signV4, type Unsigned } from "./sign-v4.ts";

/** The keys, the moment and the signatures of the examples in AWS's S3 API reference. */
const keys = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const scope = { region: "us-east-1", now: Date.UTC(2013, 4, 24) };
const host: Header = ["host", "examplebucket.s3.amazonaws.com"];

describe("signV4", () => {
  const examples: { signature: string; request: Partial<Unsigned> }[] = [
    {
      signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
      request: { path: "/test.txt", headers: [host, ["range", "bytes=0-9"]] },
    },
    {
      signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
      request: {
        method: "PUT",
        path: "/test%24file.text",
        headers: [
          ["date", "Fri, 24 May 2013 00:00:00 GMT"],
          host,
          ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
        ],
        bodyDigest: hash("sha256", "Welcome to Amazon S3."),
      },
    },
    {
      signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
      request: { query: [["lifecycle", ""]] },
    },
    {
      signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
      request: {
        query: [
          ["prefix", "J"],
          ["max-keys", "2"],
        ],
      },
    },
  ];

  it("gives the signatures of AWS's own examples", () => {
    const plain: Unsigned = { method: "GET", path: "/", query: [], headers: [host], bodyDigest: undefined };
    for (const { request, signature } of examples) {
      const signed = signV4({ ...plain, ...request }, keys, scope);
      assert.equal(authorizationOf(signed).split("Signature=")[1], signature);
    }
  });

  it("sends and signs the token of temporary keys, and never sends the secret", () => {
    const request: Unsigned = { method: "GET", path: "/", query: [], headers: [host], bodyDigest: undefined };
    const signed = signV4(request, { ...keys, sessionToken: "a token" }, scope);
    assert.deepEqual(
      signed.find(([name]) => name === "x-amz-security-token"),
      ["x-amz-security-token", "a token"],
    );
    assert.match(authorizationOf(signed), /SignedHeaders=host;[^,]*x-amz-security-token/);
    assert.ok(!JSON.stringify(signed).includes(keys.secretAccessKey));
  });

  it("encodes a query as it signs it", () => {
    assert.equal(
      encodeQuery([
        ["b", "é/ ~*'"],
        ["a-b", "1"],
        ["a", ""],
      ]),
      "a=&a-b=1&b=%C3%A9%2F%20~%2A%27",
    );
  });
});

function authorizationOf(headers: readonly Header[]): string {
  return headers.find(([name]) => name === "authorization")?.[1] ?? "";
}
