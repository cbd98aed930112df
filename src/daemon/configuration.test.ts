import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { describeConfiguration, readConfiguration, unknownVariables } from "./configuration.ts";

const host = { home: "/home/me", memoryBytes: 8 * 2 ** 30, cores: 4 };

describe("readConfiguration", () => {
  it("an empty environment gives the documented defaults", () => {
    const configuration = readConfiguration({ LARDER_PORT: "" }, host);
    assert.deepEqual(
      { ...configuration },
      {
        data: "/home/me/.local/share/larder",
        host: "127.0.0.1",
        port: 8700,
        domain: undefined,
        tlsCert: undefined,
        tlsKey: undefined,
        bucket: "file:///home/me/.local/share/larder/bucket",
        shelfBytes: 20 * 2 ** 30,
        apiKey: undefined,
        accel: "auto",
        cache: "/home/me/.cache/larder",
        debianMirror: undefined,
        debianSuite: undefined,
        sandboxesMax: 100,
        memoryBytesMax: 16 * 2 ** 30,
        restoresMax: 4,
        pool: 0,
        stallSeconds: 3600,
        waitingMax: 256,
        peers: undefined,
        peerPort: undefined,
        peerHost: "127.0.0.1",
        peerSecret: undefined,
        logLevel: "info",
      },
    );
  });

  it("the bucket follows the data directory unless it is set", () => {
    assert.equal(readConfiguration({ LARDER_DATA: "/a b/" }, host).bucket, "file:///a%20b/bucket");
    const env = { LARDER_DATA: "/a", LARDER_BUCKET: "file:///b" };
    assert.equal(readConfiguration(env, host).bucket, "file:///b");
  });

  it("sizes may have units", () => {
    for (const [text, bytes] of [
      ["1073741824", 2 ** 30],
      ["2G", 2 ** 31],
      ["2 GiB", 2 ** 31],
      ["1TB", 2 ** 40],
    ] as const) {
      assert.equal(readConfiguration({ LARDER_SHELF_BYTES: text }, host).shelfBytes, bytes, text);
    }
  });

  it("each bad value is refused by the name of its variable", () => {
    const bad: Record<string, string[]> = {
      LARDER_DATA: ["relative/path"],
      LARDER_HOST: ["a b"],
      LARDER_PORT: ["x", "-1", "65536", "80.5", "8700 "],
      LARDER_DOMAIN: ["-a b", "http://x", "x/y"],
      LARDER_BUCKET: [
        "s3://user:hush@bucket",
        "gs://bucket?x=hush",
        "s3://bucket/a b",
        "/var/bucket",
        "file://host/x",
      ],
      LARDER_SHELF_BYTES: ["20 apples", "1", "-20G", "1e9"],
      LARDER_API_KEY: ["secret", "e2b_XYZ", "e2b_"],
      LARDER_ACCEL: ["hvf"],
      LARDER_SANDBOXES_MAX: ["0", "many"],
      LARDER_PEERS: ["node1", "node1:0", "node1:99999", "http://node1:8701", "a:1,,b:2", "::1:8701"],
      LARDER_PEER_SECRET: ["too short"],
      LARDER_LOG: ["verbose"],
    };
    for (const [variable, texts] of Object.entries(bad)) {
      for (const text of texts) {
        const check = (error: unknown) =>
          Failure.is(error, "invalid") && error.message.startsWith(variable) && !error.message.includes("; ");
        assert.throws(() => readConfiguration({ [variable]: text }, host), check, `${variable}=${text}`);
      }
    }
  });

  it("peers need a secret, which all of them share", () => {
    const LARDER_PEER_SECRET = "0123456789abcdef0123456789abcdef";
    for (const env of [{ LARDER_PEERS: "node1:8701" }, { LARDER_PEER_PORT: "8701" }]) {
      assert.throws(() => readConfiguration(env, host), /need LARDER_PEER_SECRET/);
      readConfiguration({ ...env, LARDER_PEER_SECRET }, host);
    }
    const listed = { LARDER_PEERS: "node1:8701, [fd00::2]:8702", LARDER_PEER_SECRET };
    assert.deepEqual(readConfiguration(listed, host).peers, ["node1:8701", "[fd00::2]:8702"]);
  });

  it("all bad values are told at once", () => {
    const message =
      /^LARDER_PORT is 'x', but must be a port .*; LARDER_ACCEL is 'y', but must be one of auto, kvm, tcg$/;
    assert.throws(() => readConfiguration({ LARDER_ACCEL: "y", LARDER_PORT: "x" }, host), { message });
  });

  it("what may be a secret is not repeated", () => {
    for (const env of [{ LARDER_API_KEY: "hush" }, { LARDER_BUCKET: "s3://user:hush@bucket?key=hush" }]) {
      assert.throws(
        () => readConfiguration(env, host),
        (error: Error) => !error.message.includes("hush"),
      );
    }
  });

  it("object stores are taken as buckets", () => {
    for (const url of [
      "s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=x&pathStyle=true",
      "gs://bucket",
    ])
      assert.equal(readConfiguration({ LARDER_BUCKET: url }, host).bucket, url);
  });
});

describe("a certificate", () => {
  it("is only good together with its key", () => {
    const both = { LARDER_TLS_CERT: "/tls/cert.pem", LARDER_TLS_KEY: "/tls/key.pem" };
    const { tlsCert, tlsKey } = readConfiguration(both, host);
    assert.deepEqual([tlsCert, tlsKey], ["/tls/cert.pem", "/tls/key.pem"]);
    for (const [variable, value] of Object.entries(both))
      assert.throws(() => readConfiguration({ [variable]: value }, host), /are only good together/);
  });
});

describe("describeConfiguration", () => {
  it("says where each value came from, and keeps secrets to itself", () => {
    const shown = describeConfiguration({ LARDER_PORT: "9", LARDER_API_KEY: "e2b_ab" }, host);
    const of = (variable: string) => shown.find((setting) => setting.variable === variable);
    assert.deepEqual([of("LARDER_PORT")?.value, of("LARDER_PORT")?.from], ["9", "environment"]);
    assert.deepEqual([of("LARDER_HOST")?.value, of("LARDER_HOST")?.from], ["127.0.0.1", "default"]);
    assert.equal(of("LARDER_API_KEY")?.value, "(secret)");
  });

  it("the page for operators explains every setting", () => {
    const page = readFileSync(new URL("../../docs/operating.md", import.meta.url), "utf8");
    const missing = describeConfiguration({}, host).filter(
      ({ variable }) => !page.includes(`\`${variable}\``),
    );
    assert.deepEqual(missing, []);
  });

  it("a misspelt variable is found", () => {
    assert.deepEqual(unknownVariables({ LARDER_PROT: "1", LARDER_PORT: "1", HOME: "/" }), ["LARDER_PROT"]);
  });
});
