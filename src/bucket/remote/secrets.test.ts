import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { systemClock as clock } from "../../base/clock.ts";
import { Failure } from "../../base/failure.ts";
import { silentMeter as meter } from "../../base/meter.ts";
import { openBucket } from "../open-bucket.ts";
import { FakeObjectStore } from "../testing/fake-object-store.ts";

const never = new AbortController().signal;
const random = { fraction: () => 0, bytes: (count: number) => Buffer.alloc(count) };
const secrets = ["AKIDsecretid", "hunter2secretkey", "hunter2token"] as const;
const [accessKey, secretKey, token] = secrets;

describe("Credentials", () => {
  it("for S3 come from where AWS's programs look, and never appear in an error or an object", async () => {
    await using store = await FakeObjectStore.start({
      ...{ speaks: "s3", bucket: "templates", credential: accessKey },
    });
    const found = {
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_SESSION_TOKEN: token,
    };
    using _environment = withEnvironment(found);
    await using bucket = openBucket(`s3://templates?endpoint=${store.url}&region=us-east-1`, ground());
    await bucket.put("key", Buffer.from("1"), {}, never);
    await using stranger = await FakeObjectStore.start({
      ...{ speaks: "s3", bucket: "templates", credential: "another" },
    });
    await using refused = openBucket(`s3://templates?endpoint=${stranger.url}&region=us-east-1`, ground());
    const error = await refused.head("key", never).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(Failure.is(error, "denied"));
    assertNoSecret(error, bucket, refused);
  });

  it("for Google come from a file, are renewed, and never appear in an error or an object", async () => {
    await using store = await FakeObjectStore.start({ speaks: "gs", bucket: "templates", credential: token });
    await using google = await startTokenServer();
    const file = path.join(google.directory, "credentials.json");
    // A token of some other identity provider is exchanged for one of Google's, as workload identity does.
    const subject = path.join(google.directory, "subject");
    await writeFile(subject, secretKey);
    const credentials = {
      ...{ type: "external_account", audience: "//iam.googleapis.com/x", token_url: `${google.url}/token` },
      ...{ subject_token_type: "urn:ietf:params:oauth:token-type:jwt", credential_source: { file: subject } },
    };
    await writeFile(file, JSON.stringify(credentials));
    using _environment = withEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: file });
    await using bucket = openBucket(`gs://templates?endpoint=${store.url}`, ground());
    await bucket.put("key", Buffer.from("1"), { ifNoneMatch: "*" }, never);
    assert.equal(google.tokens(), 1);
    google.refuse();
    await using refused = openBucket(`gs://templates?endpoint=${store.url}`, ground());
    const error = await refused.head("key", never).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(error instanceof Failure);
    assertNoSecret(error, bucket, refused);
  });

  it("that are nowhere to be found are asked for in a sentence", async () => {
    const nothing = {
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_PROFILE: undefined,
    };
    const files = { AWS_CONFIG_FILE: "/dev/null", AWS_SHARED_CREDENTIALS_FILE: "/dev/null" };
    using _environment = withEnvironment({ ...nothing, ...files, AWS_EC2_METADATA_DISABLED: "true" });
    await using bucket = openBucket("s3://templates?endpoint=http://127.0.0.1:9", ground());
    await assert.rejects(
      bucket.head("key", never),
      (error) => Failure.is(error, "denied") && /set AWS_ACCESS_KEY_ID/.test(error.message),
    );
  });
});

function ground() {
  return { clock, random, meter, environment: {} };
}

/** Neither what is thrown nor what is held shows a secret, however deep one looks. */
function assertNoSecret(...things: unknown[]): void {
  for (const thing of things) {
    const shown = [
      inspect(thing, { depth: 20, showHidden: true }),
      JSON.stringify(thing),
      String(thing),
    ].join();
    for (const secret of secrets) assert.ok(!shown.includes(secret), shown);
    if (thing instanceof Error && thing.cause !== undefined) assertNoSecret(thing.cause);
  }
}

/** Sets variables of this process, and sets them back. The providers' libraries read no others. */
function withEnvironment(values: Readonly<Record<string, string | undefined>>): Disposable {
  const before = Object.fromEntries(Object.keys(values).map((name) => [name, process.env[name]]));
  const set = (all: Readonly<Record<string, string | undefined>>) => {
    for (const [name, value] of Object.entries(all)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  set(values);
  return { [Symbol.dispose]: () => set(before) };
}

/** What exchanges tokens at Google. */
async function startTokenServer() {
  const directory = await mkdtemp(path.join(tmpdir(), "larder-google-"));
  const scene = { tokens: 0, refuses: false };
  const server = createServer((request, response) => {
    request.resume();
    const body = scene.refuses
      ? { error: "invalid_grant", error_description: `${secretKey} is not known` }
      : { access_token: token, issued_token_type: "x", token_type: "Bearer", expires_in: 3600 };
    scene.tokens += 1;
    response.writeHead(scene.refuses ? 400 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    directory,
    url: `http://127.0.0.1:${port}`,
    tokens: () => scene.tokens,
    refuse: () => void (scene.refuses = true),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}
