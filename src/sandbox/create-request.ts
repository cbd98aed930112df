import { Failure } from "../base/failure.ts";
import type { IngressSettings, Lifecycle } from "../store/sandbox-records.ts";

export interface CreateRequest {
  /** Id or name of a template, with or without `:tag`. */
  readonly template: string;
  /** From when it is ready. */
  readonly timeoutMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envs: Readonly<Record<string, string>>;
  /** Whether the agent asks for an access token. */
  readonly secure: boolean;
  readonly allowInternet: boolean;
  /** What happens at the end of its time: it is killed, unless said otherwise. */
  readonly lifecycle?: Lifecycle;
  /** Missing: everybody may come. */
  readonly ingress?: IngressSettings;
}

/** The longest life that may be asked for at once: ten years. */
const timeoutMsMax = 10 * 366 * 24 * 3600 * 1000;

/** The most sandboxes on one page. */
const pageSandboxesMax = 100;

/** Throws `invalid`, naming what is wrong. */
export function checkRequest({ timeoutMs, envs, secure, ingress }: CreateRequest): void {
  checkTimeout(timeoutMs);
  if (!secure && ingress?.public === false)
    throw new Failure("invalid", "a sandbox whose ports are private must be secure");
  for (const [name, value] of Object.entries(envs)) {
    if (name === "" || /[=\0]/.test(name) || value.includes("\0"))
      throw new Failure("invalid", `envs: '${name}' is no environment variable`);
  }
}

export function checkTimeout(timeoutMs: number): void {
  if (!(timeoutMs > 0 && timeoutMs <= timeoutMsMax))
    throw new Failure("invalid", `a timeout of ${timeoutMs} ms is none: above 0, up to ${timeoutMsMax}`);
}

export function checkLimit(limit: number): void {
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= pageSandboxesMax))
    throw new Failure("invalid", `a limit of ${limit} is none: 1 to ${pageSandboxesMax}`);
}
