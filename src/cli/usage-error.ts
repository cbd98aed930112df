/** The command line itself is wrong: told with how it should be, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
