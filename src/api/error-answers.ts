import type { FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import { failureStatus, retryAfterSeconds } from "./failure-status.ts";

/** The shape of every error: clients look at `code` in the body as often as at the status. */
export const errorBody = z.object({ code: z.int(), message: z.string() });

type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

/** Turns what a route threw into an answer. What nobody foresaw is logged in full and told without details. */
export function errorHandler(logger: Logger): ErrorHandler {
  return (error, request, reply) => {
    const { code, message } = answerFor(error);
    if (code >= 500) {
      const { method, url } = request;
      logger.error({ method, url, request: request.id, error }, "a request failed");
    }
    if (code === failureStatus.exhausted) void reply.header("retry-after", String(retryAfterSeconds));
    void reply.code(code).send({ code, message });
  };
}

function answerFor(error: unknown): z.output<typeof errorBody> {
  if (hasZodFastifySchemaValidationErrors(error)) {
    return { code: 400, message: error.validation.map(sentence).join("; ") };
  }
  if (error instanceof Failure) return { code: failureStatus[error.code], message: error.message };
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  // The framework's own refusals: a body too large, of another type, or no JSON.
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return { code: statusCode, message: String(message) };
  }
  return { code: 500, message: "something went wrong that should not; the daemon's log has the details" };
}

interface Issue {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** One sentence per fault, each beginning with the field's name. */
function sentence({ keyword, instancePath, message = "", params }: Issue): string {
  const path = instancePath.split("/").filter((part) => part !== "");
  if (keyword === "unrecognized_keys") {
    const keys = Array.isArray(params["keys"]) ? params["keys"] : [];
    return keys.map((key) => `field '${[...path, String(key)].join(".")}' is not known`).join("; ");
  }
  if (path.length === 0) return `the request: ${message}`;
  const field = `field '${path.join(".")}'`;
  return message.endsWith("received undefined") ? `${field} is missing` : `${field}: ${message}`;
}
