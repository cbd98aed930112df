import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostsWith } from "./hosts.ts";

describe("hostsWith", () => {
  it("gives the machine its name and keeps what others wrote, however often it is named", () => {
    const first = hostsWith("127.0.0.1\tlocalhost\n::1 localhost\n10.0.0.1 db\n", "i1");
    assert.equal(first, "127.0.0.1\tlocalhost\n::1 localhost\n10.0.0.1 db\n127.0.1.1\ti1\n");
    assert.equal(hostsWith(first, "i2"), first.replace("i1", "i2"));
  });

  it("replaces a name that an installer wrote with spaces", () => {
    assert.equal(
      hostsWith("127.0.0.1 localhost\n127.0.1.1 sandbox\n", "i1"),
      "127.0.0.1 localhost\n127.0.1.1\ti1\n",
    );
  });

  it("makes the file where there is none", () => {
    assert.equal(hostsWith("", "i1"), "127.0.0.1\tlocalhost\n127.0.1.1\ti1\n");
  });
});
