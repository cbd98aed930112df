import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../../base/failure.ts";
import { parseLocation } from "./bucket-location.ts";

describe("parseLocation", () => {
  it("takes apart where a bucket lies", () => {
    const { endpoint, ...rest } = parseLocation(
      new URL("s3://templates/a/b/?endpoint=http://127.0.0.1:9000&region=eu-west-1&pathStyle=false"),
    );
    assert.equal(endpoint?.origin, "http://127.0.0.1:9000");
    assert.deepEqual(rest, {
      ...{ service: "s3", bucket: "templates", prefix: "a/b/", region: "eu-west-1", pathStyle: false },
    });
    const plain = { service: "gs", prefix: "", endpoint: undefined, region: undefined, pathStyle: true };
    assert.deepEqual(parseLocation(new URL("gs://my_bucket")), { ...plain, bucket: "my_bucket" });
  });

  it("puts the bucket into the path for servers that know no names before theirs", () => {
    const style = (url: string) => parseLocation(new URL(url)).pathStyle;
    assert.equal(style("s3://templates"), false);
    assert.equal(style("s3://with.dots"), true);
    assert.equal(style("s3://templates?endpoint=https://minio.example"), true);
    assert.equal(style("s3://templates?endpoint=https://minio.example&pathStyle=false"), false);
  });

  it("refuses what cannot be meant, without repeating what may be a secret", () => {
    const wrong = [
      "s3://key:hunter2@bucket/prefix",
      "s3://hunter2@bucket/prefix",
      "s3://bucket:9000/prefix",
      "s3://bucket/prefix?secretAccessKey=hunter2",
      "s3://bucket/prefix#hunter2",
      "s3://bucket/a//b",
      "s3://bucket/../b c",
      "s3://b",
      "s3://Bucket",
      "s3:///prefix",
      "s3://bucket?endpoint=https://user:hunter2@host",
      "s3://bucket?endpoint=https://host/hunter2",
      "s3://bucket?endpoint=hunter2",
      "s3://bucket?region=hunter2!",
      "s3://bucket?pathStyle=hunter2",
      "s3://bucket?region=a&region=b",
      "gs://bucket?region=eu",
    ];
    for (const url of wrong) {
      assert.throws(
        () => parseLocation(new URL(url)),
        (error) => Failure.is(error, "invalid") && !error.message.includes("hunter2"),
        url,
      );
    }
  });
});
