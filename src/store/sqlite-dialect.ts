import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { type Dialect, type DialectAdapter, SqliteDialect } from "kysely";
import { Failure, type FailureCode } from "../base/failure.ts";

/**
 * The query builder's SQLite over Node's own `node:sqlite`. Everything that only SQLite knows is in this file.
 * There is one connection; the query builder lets one query or transaction after the other use it.
 */
export function sqliteDialect(path: string): Dialect {
  const dialect = new SqliteDialect({ database: () => Promise.resolve(openDatabase(path)) });
  return {
    createAdapter: () => adapter,
    createDriver: () => dialect.createDriver(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
  };
}

/**
 * What the query builder is told of SQLite. It changes its schema within transactions, although the builder's own
 * adapter denies that: a process that is killed on the way from one schema to the next has taken no step.
 */
const adapter: DialectAdapter = {
  supportsMultipleConnections: false,
  supportsTransactionalDdl: true,
  supportsReturning: true,
  // There is one connection, and it is reserved for the migration as long as that takes.
  acquireMigrationLock: () => Promise.resolve(),
  releaseMigrationLock: () => Promise.resolve(),
};

function openDatabase(path: string) {
  // SQLite gives its -wal and -shm files the mode of this one; it holds the seed of all tokens.
  if (path !== ":memory:") closeSync(openSync(path, "a", 0o600));
  const database = translated(() => new DatabaseSync(path, { enableForeignKeyConstraints: true }));
  // A commit survives the end of this process at once, and that of the machine after the next checkpoint.
  translated(() => database.exec("pragma journal_mode = wal; pragma synchronous = normal"));
  translated(() => database.exec("pragma busy_timeout = 1000"));
  return {
    close: () => database.close(),
    prepare: (sql: string) => wrap(translated(() => database.prepare(sql))),
  };
}

function wrap(statement: StatementSync) {
  return {
    reader: statement.columns().length > 0,
    all: (values: readonly unknown[]) => translated(() => statement.all(...inputs(values))),
    run: (values: readonly unknown[]) => translated(() => statement.run(...inputs(values))),
    iterate: (values: readonly unknown[]) => translated(() => statement.iterate(...inputs(values))),
  };
}

function inputs(values: readonly unknown[]): SQLInputValue[] {
  return values as SQLInputValue[];
}

/** Result codes that say what to do next: https://www.sqlite.org/rescode.html */
const codes = new Map<number, FailureCode>([
  [5, "unavailable"], // SQLITE_BUSY
  [10, "unavailable"], // SQLITE_IOERR
  [11, "corrupt"], // SQLITE_CORRUPT
  [13, "exhausted"], // SQLITE_FULL
  [19, "conflict"], // SQLITE_CONSTRAINT
  [26, "corrupt"], // SQLITE_NOTADB
]);

function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { errcode = 0, errstr } = error as { errcode?: number; errstr?: string };
    const code = codes.get(errcode & 0xff);
    throw code === undefined ? error : new Failure(code, `the store: ${errstr}`, { cause: error });
  }
}
