import { Failure } from "../base/failure.ts";

/** What is answered for a sandbox that has ended, or never was. */
export function noSuchSandbox(id: string): Failure {
  return new Failure("not_found", `there is no sandbox '${id}'`);
}
