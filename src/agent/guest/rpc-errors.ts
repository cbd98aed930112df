import { Code, ConnectError } from "@connectrpc/connect";
import { Failure, type FailureCode } from "../../base/failure.ts";

/** What a client of the Connect protocol is told of anything thrown. */
export function connectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const failure = Failure.from(error);
  return new ConnectError(failure.message, codes[failure.code], undefined, undefined, failure);
}

const codes: Readonly<Record<FailureCode, Code>> = {
  not_found: Code.NotFound,
  unavailable: Code.Unavailable,
  corrupt: Code.DataLoss,
  exhausted: Code.ResourceExhausted,
  conflict: Code.AlreadyExists,
  invalid: Code.InvalidArgument,
  denied: Code.PermissionDenied,
  cancelled: Code.Canceled,
  internal: Code.Internal,
};

/** A unary method whose failures a client understands. */
export function unary<Request, Context, Response>(
  method: (request: Request, context: Context) => Promise<Response>,
): (request: Request, context: Context) => Promise<Response> {
  return async (request, context) => {
    try {
      return await method(request, context);
    } catch (error) {
      throw connectError(error);
    }
  };
}

/** A streaming method whose failures a client understands. */
export function streaming<Request, Context, Response>(
  method: (request: Request, context: Context) => AsyncGenerator<Response>,
): (request: Request, context: Context) => AsyncGenerator<Response> {
  return async function* (request, context) {
    try {
      yield* method(request, context);
    } catch (error) {
      throw connectError(error);
    }
  };
}
