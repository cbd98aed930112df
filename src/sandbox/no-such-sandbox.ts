import { Failure } from "../base/failure.ts";

export function noSuchSandbox(id: string): Failure {
  return new Failure("not_found", `there is no sandbox '${id}'`);
}
