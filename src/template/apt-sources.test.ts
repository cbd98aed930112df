import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatDeb822Sources, parseDeb822Sources, parseOneLineSources } from "./apt-sources.ts";

describe("parseOneLineSources", () => {
  it("reads entries with and without options", () => {
    const text = [
      "# deb http://mirror.invalid/old old main",
      "deb http://mirror.invalid/debian bookworm main contrib # the usual",
      "deb [arch=amd64,arm64 signed-by=/keys/a.gpg trusted=yes] http://mirror.invalid/own suite main",
    ].join("\n");
    assert.deepEqual(parseOneLineSources(text), [
      { uris: ["http://mirror.invalid/debian"], suites: ["bookworm"], components: ["main", "contrib"] },
      {
        uris: ["http://mirror.invalid/own"],
        suites: ["suite"],
        components: ["main"],
        signedBy: "/keys/a.gpg",
        trusted: "yes",
      },
    ]);
  });

  it("skips sources, discs, flat archives, other architectures and nonsense", () => {
    const text = [
      "deb-src http://mirror.invalid/debian bookworm main",
      "deb cdrom:[Debian]/ bookworm main",
      "deb http://mirror.invalid/flat ./",
      "deb [arch=arm64] http://mirror.invalid/debian bookworm main",
      "deb",
      "hello",
    ].join("\n");
    assert.deepEqual(parseOneLineSources(text), []);
  });
});

describe("parseDeb822Sources", () => {
  it("reads stanzas with several suites, comments and a key inside", () => {
    const text = [
      "Types: deb deb-src",
      "# a comment",
      "URIs: http://mirror.invalid/debian",
      "Suites: bookworm bookworm-updates",
      "Components: main",
      "Signed-By:",
      " -----BEGIN PGP PUBLIC KEY BLOCK-----",
      " .",
      " abc",
      "",
      "types: deb",
      "uris: http://mirror.invalid/security",
      "suites: bookworm-security",
      "components: main",
      "",
    ].join("\n");
    assert.deepEqual(parseDeb822Sources(text), [
      {
        uris: ["http://mirror.invalid/debian"],
        suites: ["bookworm", "bookworm-updates"],
        components: ["main"],
        signedBy: "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc",
      },
      { uris: ["http://mirror.invalid/security"], suites: ["bookworm-security"], components: ["main"] },
    ]);
  });

  it("skips stanzas that are off, of other architectures, or of sources only", () => {
    const stanza = (line: string) =>
      `Types: deb\nURIs: http://m.invalid/\nSuites: s\nComponents: main\n${line}\n`;
    assert.equal(parseDeb822Sources(stanza("Enabled: yes")).length, 1);
    assert.equal(parseDeb822Sources(stanza("Enabled: no")).length, 0);
    assert.equal(parseDeb822Sources(stanza("Architectures: arm64")).length, 0);
    assert.equal(parseDeb822Sources(stanza("Architectures: amd64 i386")).length, 1);
    assert.equal(parseDeb822Sources(stanza("").replace("deb", "deb-src")).length, 0);
  });

  it("reads back what formatDeb822Sources writes", () => {
    const sources = [
      { uris: ["http://m.invalid/a"], suites: ["s", "s-updates"], components: ["main"], signedBy: "/k.gpg" },
      { uris: ["file:///b"], suites: ["s"], components: ["main"], trusted: "yes" },
    ];
    assert.deepEqual(parseDeb822Sources(formatDeb822Sources(sources)), sources);
  });
});
