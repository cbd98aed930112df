import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { openBucket } from "./open-bucket.ts";

describe("openBucket", () => {
  it("opens a directory by its URL", async () => {
    await using bucket = openBucket("file:///var/lib/with%20space/");
    assert.equal(bucket.name, "file:///var/lib/with space");
  });

  it("refuses everything else with a sentence that holds no secret", () => {
    const urls = [
      "s3://bucket/prefix",
      "gs://bucket",
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
        () => openBucket(url),
        (error) =>
          Failure.is(error, "invalid") &&
          error.message.endsWith("file:///path") &&
          !error.message.includes("hunter2"),
        url,
      );
    }
  });
});
