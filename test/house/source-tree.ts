import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import {
  type CallExpression,
  isArrowFunction,
  isCallExpression,
  isExportDeclaration,
  isConstructorDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isIdentifier,
  isImportDeclaration,
  isPropertyAccessExpression,
  isMethodDeclaration,
  isNoSubstitutionTemplateLiteral,
  isStringLiteral,
  isTemplateExpression,
  type Node,
  type NoSubstitutionTemplateLiteral,
  type SourceFile as Tree,
  type StringLiteral,
} from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

export const root = path.join(import.meta.dirname, "../..");

/** A stretch of a file, for complaints about its length. */
export interface FunctionSpan {
  readonly firstLine: number;
  readonly lines: number;
  /** It holds whole tests, or is the body of a `describe`. */
  readonly isSuite: boolean;
}

export interface TestTitle {
  readonly call: string;
  readonly title: string;
}

/** What the house rules ask about one TypeScript file. Paths are relative to the project, with slashes. */
export interface SourceFile {
  readonly path: string;
  readonly lines: readonly string[];
  /** What is imported, dynamic imports included; relative ones as paths like `path`. */
  readonly imports: readonly { readonly specifier: string; readonly path: string | undefined }[];
  /** Modules whose names are passed on. */
  readonly passedOn: readonly string[];
  readonly functions: readonly FunctionSpan[];
  /** Of `it`, `test` and `describe`, with what was put behind them, like `it.skip`. */
  readonly tests: readonly TestTitle[];
}

/** Parses every TypeScript file of the project, as `tsconfig.json` names them, with the project's own compiler. */
export function readSourceTree(): SourceFile[] {
  const api = new API({ cwd: root });
  try {
    const snapshot = api.updateSnapshot({ openProjects: [path.join(root, "tsconfig.json")] });
    const [project] = snapshot.getProjects();
    if (project === undefined) throw new Error("tsconfig.json names no project");
    return project.rootFiles
      .filter((file) => !file.includes("/generated/"))
      .map((file) => {
        const tree = project.program.getSourceFile(file);
        if (tree === undefined) throw new Error(`${file} was not parsed`);
        return factsOf(path.relative(root, file), tree);
      });
  } finally {
    api.close();
  }
}

/** Every file that people write, by path, as text. */
export function readTextFiles(): Map<string, string> {
  const places = ["{src,test,bench,bin,docs,.ci}/**/*", "*", ".*"];
  const files = places.flatMap((place) => globSync(place, { cwd: root, withFileTypes: true }));
  const paths = files
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter((file) => file !== ".git"); // In a linked working tree it is a file, and no part of the project.
  return new Map(paths.map((file) => [file, readFileSync(path.join(root, file), "utf8")]));
}

function factsOf(file: string, tree: Tree): SourceFile {
  const specifiers: string[] = [];
  const passedOn: string[] = [];
  const functions: FunctionSpan[] = [];
  const tests: TestTitle[] = [];
  const visit = (node: Node, parent: Node): void => {
    if (isImportDeclaration(node) || isExportDeclaration(node)) {
      const { moduleSpecifier } = node;
      if (moduleSpecifier !== undefined && isStringLiteralLike(moduleSpecifier)) {
        specifiers.push(moduleSpecifier.text);
        if (isExportDeclaration(node)) passedOn.push(moduleSpecifier.text);
      }
    }
    if (isCallExpression(node)) {
      const imported = dynamicImportOf(node, tree);
      if (imported !== undefined) specifiers.push(imported);
      const test = testOf(node, tree);
      if (test !== undefined) tests.push(test);
    }
    if (functionKinds.some((is) => is(node))) functions.push(spanOf(node, parent, tree));
    node.forEachChild((child) => visit(child, node));
  };
  visit(tree, tree);
  const imports = specifiers.map((specifier) => ({ specifier, path: resolved(file, specifier) }));
  return { path: file, lines: tree.text.split("\n"), imports, passedOn, functions, tests };
}

function isStringLiteralLike(node: Node): node is StringLiteral | NoSubstitutionTemplateLiteral {
  return isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node);
}

const functionKinds = [
  isArrowFunction,
  isConstructorDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isMethodDeclaration,
];

function dynamicImportOf(call: CallExpression, tree: Tree): string | undefined {
  const [first] = call.arguments;
  const isImport = call.expression.getText(tree) === "import";
  return isImport && first !== undefined && isStringLiteralLike(first) ? first.text : undefined;
}

function testOf(call: CallExpression, tree: Tree): TestTitle | undefined {
  const { expression } = call;
  const name = isPropertyAccessExpression(expression) ? expression.expression : expression;
  const [first] = call.arguments;
  if (!isIdentifier(name) || !["it", "test", "describe"].includes(name.text) || first === undefined)
    return undefined;
  if (isStringLiteralLike(first)) return { call: expression.getText(tree), title: first.text };
  if (!isTemplateExpression(first)) return undefined;
  return { call: expression.getText(tree), title: first.getText(tree).slice(1, -1) };
}

function spanOf(node: Node, parent: Node, tree: Tree): FunctionSpan {
  const first = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line;
  const last = tree.getLineAndCharacterOfPosition(node.end).line;
  const isBody = isCallExpression(parent) && parent.expression.getText(tree) === "describe";
  const isSuite = isBody || /\bdescribe\(/.test(node.getText(tree));
  return { firstLine: first + 1, lines: last - first + 1, isSuite };
}

function resolved(file: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? path.join(path.dirname(file), specifier) : undefined;
}
