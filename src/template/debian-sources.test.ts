import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { debianSources, type HostSystem } from "./debian-sources.ts";

const keyring = "/keys/debian.gpg";
const bookworm: HostSystem = {
  release: { ID: "debian", VERSION_CODENAME: "bookworm" },
  keyring,
  sources: [
    {
      uris: ["http://m.invalid/debian"],
      suites: ["bookworm", "bookworm-updates", "bookworm-backports"],
      components: ["main", "contrib"],
      signedBy: "/own.gpg",
    },
    { uris: ["http://m.invalid/security"], suites: ["bookworm-security"], components: ["main"] },
    { uris: ["http://vendor.invalid/docker"], suites: ["bookworm"], components: ["stable"] },
    { uris: ["http://vendor.invalid/node"], suites: ["nodistro"], components: ["main"] },
  ],
};

describe("debianSources", () => {
  it("takes a Debian system's own sources of its release, without what other vendors offer", () => {
    const { suite, sources, backports } = debianSources(bookworm, {});
    assert.equal(suite, "bookworm");
    assert.deepEqual(sources, [
      {
        uris: ["http://m.invalid/debian"],
        suites: ["bookworm", "bookworm-updates"],
        components: ["main"],
        signedBy: "/own.gpg",
      },
      {
        uris: ["http://m.invalid/security"],
        suites: ["bookworm-security"],
        components: ["main"],
        signedBy: keyring,
      },
    ]);
    assert.deepEqual(backports?.suites, ["bookworm-backports"]);
    assert.deepEqual(backports?.uris, ["http://m.invalid/debian"]);
  });

  it("needs no backports where the suite's own QEMU is new enough", () => {
    const release = { ID: "debian", VERSION_CODENAME: "trixie" };
    const sources = [{ uris: ["http://m.invalid/debian"], suites: ["trixie"], components: ["main"] }];
    assert.equal(debianSources({ release, keyring, sources }, {}).backports, undefined);
  });

  it("takes the mirror and the suite that the user names, on any system", () => {
    const host = { release: { ID: "ubuntu", VERSION_CODENAME: "noble" }, keyring, sources: bookworm.sources };
    const { suite, sources } = debianSources(host, { mirror: "http://m.invalid/d", suite: "trixie" });
    assert.equal(suite, "trixie");
    assert.deepEqual(sources, [
      { uris: ["http://m.invalid/d"], suites: ["trixie"], components: ["main"], signedBy: keyring },
    ]);
  });

  it("says what to do where there are no sources of Debian, and for a mirror that is none", () => {
    const ubuntu = { release: { ID: "ubuntu" }, keyring: undefined, sources: bookworm.sources };
    const invalid = (message: RegExp) => (error: unknown) =>
      Failure.is(error, "invalid") && message.test(error.message);
    assert.throws(() => debianSources(ubuntu, {}), invalid(/LARDER_DEBIAN_MIRROR/));
    assert.throws(() => debianSources({ ...bookworm, sources: [] }, {}), invalid(/LARDER_DEBIAN_MIRROR/));
    assert.throws(() => debianSources(bookworm, { mirror: "ftp.example" }), invalid(/ftp\.example/));
  });
});
