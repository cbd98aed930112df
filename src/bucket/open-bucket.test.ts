import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { systemClock as clock } from "../base/clock.ts";
import { silentMeter as meter } from "../base/meter.ts";
import { systemRandom as random } from "../base/random.ts";
import { openBucket } from "./open-bucket.ts";

const ground = { clock, random, meter, environment: {} };

describe("openBucket", () => {
  it("opens a directory by its URL", async () => {
    await using bucket = openBucket("file:///var/lib/with%20space/", ground);
    assert.equal(bucket.name, "file:///var/lib/with space");
  });

  it("opens object stores by theirs, without speaking to them", async () => {
    await using s3 = openBucket("s3://templates/of/mine/?endpoint=https://s3.example&region=x", ground);
    assert.equal(s3.name, "s3://templates/of/mine");
    await using gs = openBucket("gs://templates", ground);
    assert.equal(gs.name, "gs://templates");
  });

  it("loads no provider's library before a request needs credentials", () => {
    const file = (name: string) => JSON.stringify(path.join(import.meta.dirname, name));
    const script = `
      import { createRequire } from "node:module";
      import { openBucket } from ${file("open-bucket.ts")};
      import { systemClock as clock } from ${file("../base/clock.ts")};
      import { systemRandom as random } from ${file("../base/random.ts")};
      import { silentMeter as meter } from ${file("../base/meter.ts")};
      const { cache } = createRequire(${file("open-bucket.ts")});
      const loaded = () => Object.keys(cache).filter((file) => /aws|google/.test(file)).length;
      const ground = { clock, random, meter, environment: {} };
      for (const url of ["file:///x", "gs://templates"]) openBucket(url, ground);
      const s3 = openBucket("s3://templates?endpoint=http://127.0.0.1:9", ground);
      const before = loaded();
      await s3.head("x", AbortSignal.timeout(20_000)).catch(() => {});
      console.log(before, loaded() > 0);`;
    const env = { PATH: process.env["PATH"], AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { env });
    assert.equal(String(child.stdout), "0 true\n", String(child.stderr));
  });

  it("refuses everything else with a sentence that holds no secret", () => {
    const urls = [
      "s3://key:hunter2@bucket/prefix",
      "gs://bucket?token=hunter2",
      "https://user:hunter2@host/path?token=hunter2",
      "file://host/path",
      "file:///",
      "file:///a?hunter2",
      "file:///a#hunter2",
      "file:///a%2fb",
      "/var/lib/hunter2",
      "",
    ];
    for (const url of urls) {
      assert.throws(
        () => openBucket(url, ground),
        (error) =>
          Failure.is(error, "invalid") &&
          error.message.includes("use file:///path, s3://bucket/prefix") &&
          !error.message.includes("hunter2"),
        url,
      );
    }
  });
});
