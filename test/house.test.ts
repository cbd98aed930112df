import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { describe, it } from "node:test";
import { readSourceTree, readTextFiles, root, type SourceFile } from "./house/source-tree.ts";

/** Who may import whom: a room imports from rooms below it, never from one of its own level. */
const levels: Readonly<Record<string, number>> = {
  cli: 8, // `serve` starts a daemon; every other command talks HTTP to one
  daemon: 7,
  api: 6,
  template: 5,
  sandbox: 4,
  cache: 3,
  memory: 3,
  nbd: 3,
  machine: 3,
  agent: 3,
  peers: 3,
  network: 3,
  store: 3,
  build: 2,
  bucket: 1,
  base: 0,
};

/** What the levels alone would allow and is forbidden all the same. */
const forbidden: readonly { readonly from: RegExp; readonly to: RegExp; readonly because: string }[] = [
  { from: /^src\/cache\/(?!.*test)/, to: /^src\/bucket\//, because: "the cache is handed sources" },
  {
    from: /^src\/agent\/guest\//,
    to: /^src\/(?!base\/|agent\/(protocol|guest)\/)/,
    because: "the guest program knows only base and the protocol",
  },
  { from: /^src\//, to: /^(?!src\/)/, because: "what runs for users needs nothing outside src" },
];

/** The demo plays the user's part, with the package that users have. */
const borrowed = new Map([["src/cli/demo.ts", "e2b"]]);

const limits = { fileLines: 300, functionLines: 60, lineLength: 120 };

/** The promises of docs/semantics.md that this cache keeps. */
const promises = Array.from({ length: 29 }, (_, i) => `C${i + 1}`);

const sources = readSourceTree();
const texts = readTextFiles();

/** Asserts that no file has anything to complain about; says all of it at once. */
function assertNone(complaints: readonly string[]): void {
  assert.equal(complaints.length, 0, `\n${complaints.join("\n")}`);
}

function roomOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}

/** Tests and what serves only them. */
function isForTests(file: string): boolean {
  return !file.startsWith("src/") || file.endsWith(".test.ts") || file.includes("/testing/");
}

/** Pairs of an importing file and a file of this project that it imports. */
function imports(): { from: string; to: string }[] {
  return sources.flatMap(({ path: from, imports }) =>
    imports.flatMap(({ path: to }) => (to === undefined ? [] : [{ from, to }])),
  );
}

function complaintsOf(files: readonly SourceFile[], rule: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap((file) => rule(file).map((complaint) => `${file.path}: ${complaint}`));
}

describe("The walls", () => {
  it("know every room", () => {
    const rooms = readdirSync(path.join(root, "src"));
    assert.deepEqual(
      rooms.filter((room) => levels[room] === undefined),
      [],
    );
  });

  it("let a room import only from below", () => {
    const wrong = imports().filter(({ from, to }) => {
      const [here, there] = [roomOf(from), roomOf(to)];
      if (here === undefined || there === undefined || here === there) return false;
      return (levels[there] ?? Infinity) >= (levels[here] ?? 0);
    });
    assertNone(wrong.map(({ from, to }) => `${from} imports ${to}`));
  });

  it("keep out what the levels alone would let in", () => {
    const wrong = forbidden.flatMap(({ from, to, because }) =>
      imports()
        .filter((pair) => from.test(pair.from) && to.test(pair.to))
        .map((pair) => `${pair.from} imports ${pair.to}, but ${because}`),
    );
    assertNone(wrong);
  });

  it("keep fakes out of what runs for users", () => {
    const wrong = imports().filter(({ from, to }) => !isForTests(from) && isForTests(to));
    assertNone(wrong.map(({ from, to }) => `${from} imports ${to}`));
  });

  it("let in only packages that are installed for users", () => {
    const { dependencies } = JSON.parse(texts.get("package.json") ?? "{}") as { dependencies: object };
    const known = new Set(Object.keys(dependencies));
    const rule = ({ imports, path: file }: SourceFile) =>
      imports
        .filter(({ specifier, path }) => path === undefined && !specifier.startsWith("node:"))
        .filter(({ specifier }) => borrowed.get(file) !== specifier)
        .filter(({ specifier }) => isBuiltin(specifier) || !known.has(packageOf(specifier)))
        .map(({ specifier }) => `imports ${specifier}`);
    assertNone(
      complaintsOf(
        sources.filter(({ path }) => !isForTests(path)),
        rule,
      ),
    );
  });
});

describe("A file", () => {
  it("is short, and so are its lines and functions", () => {
    const rule = ({ functions, lines, path }: SourceFile) => {
      const long = lines.flatMap((line, i) =>
        line.length < limits.lineLength ? [] : [`line ${i + 1} has ${line.length} characters`],
      );
      const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
      if (count >= limits.fileLines) long.push(`has ${count} lines`);
      for (const { firstLine, isSuite, lines: count } of functions) {
        if (count >= limits.functionLines && !(isSuite && isForTests(path)))
          long.push(`function at line ${firstLine} has ${count} lines`);
      }
      return long;
    };
    assertNone(complaintsOf(sources, rule));
  });

  it("is imported itself, by its name with the ending", () => {
    const rule = ({ imports, passedOn }: SourceFile) => [
      ...imports
        .filter(({ path }) => path !== undefined && !/\.(ts|mjs|json)$|\/generated\/.*_pb\.js$/.test(path))
        .map(({ specifier }) => `imports ${specifier} without its ending`),
      ...passedOn.map((specifier) => `passes on what ${specifier} exports`),
    ];
    assertNone(complaintsOf(sources, rule));
  });

  it("is finished", () => {
    // Written so that this file itself is not found.
    const left = /\b(?:TO\x44O|FIX\x4dE|XX\x58|@ts-ignore|@ts-nocheck)\b/;
    const wrong = [...texts].filter(([file, text]) => left.test(text) && !file.endsWith(".json"));
    assertNone(wrong.map(([file, text]) => `${file}: ${left.exec(text)?.[0]}`));
  });

  it("names no machine that it was written on and no host that packages come from", () => {
    const machine =
      /(?<![\w.-])\/work\/|registry\.(npmjs|npmmirror|yarnpkg)|\b(deb|security|ftp|snapshot)\.debian\.org/;
    const wrong = [...texts].filter(([, text]) => machine.test(text));
    assertNone(wrong.map(([file, text]) => `${file}: ${machine.exec(text)?.[0]}`));
    assert.doesNotMatch(texts.get("package-lock.json") ?? "", /"resolved": "http/);
  });
});

describe("A test", () => {
  const tests = sources.flatMap(({ path: file, tests }) => tests.map((test) => ({ file, ...test })));

  it("is always run", () => {
    const wrong = tests.filter(({ call }) => /\.(skip|only|todo)$/.test(call));
    assertNone(wrong.map(({ call, file, title }) => `${file}: ${call} ${title}`));
  });

  it("begins with the promise that it proves, and every promise of the cache has one", () => {
    const proven = new Set<string>();
    for (const { file, title } of tests) {
      if (!/^src\/(build|cache|peers|sandbox|template|daemon|memory)\//.test(file)) continue;
      for (const id of /^(C\d+(?:, C\d+)*):/.exec(title)?.[1]?.split(", ") ?? []) proven.add(id);
    }
    assertNone(promises.filter((id) => !proven.has(id)).map((id) => `${id} is proven by no test of src`));
  });
});

describe("A decision", () => {
  it("has a number, a name and a date, and none is missing", () => {
    const directory = path.join(root, "docs/decisions");
    const files = readdirSync(directory).sort();
    for (const [i, file] of files.entries()) {
      const number = String(i + 1).padStart(4, "0");
      assert.match(file, new RegExp(`^${number}-[a-z0-9-]+\\.md$`), "numbers follow each other");
      const [heading, , date] = readFileSync(path.join(directory, file), "utf8").split("\n");
      assert.match(heading ?? "", new RegExp(`^# ${number} \\S`), file);
      assert.match(date ?? "", /^\d{4}-\d{2}-\d{2}$/, file);
    }
  });
});

/** `@scope/name/part` → `@scope/name` */
function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
