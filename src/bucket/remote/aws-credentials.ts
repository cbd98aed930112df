import { Failure } from "../../base/failure.ts";
import type { Provider } from "./renewed.ts";
import type { AwsKeys } from "./sign-v4.ts";

/**
 * Keys from where AWS's own programs look for them: environment, profile, single sign-on, process, web identity, the
 * role of a container or an instance. The library is loaded when it is first needed.
 * What it throws is not passed on as a cause: nobody can promise that no secret is in it.
 */
export function awsCredentials(region: string): Provider<AwsKeys> {
  let provider: (() => Promise<AwsKeys & { readonly expiration?: Date }>) | undefined;
  return async (anew) => {
    if (anew) provider = undefined;
    try {
      const { defaultProvider } = await import("@aws-sdk/credential-provider-node");
      provider ??= defaultProvider({ clientConfig: { region } });
      const { accessKeyId, secretAccessKey, sessionToken, expiration } = await provider();
      const keys = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
      return { value: keys, expiresAt: expiration?.getTime() };
    } catch (error) {
      provider = undefined; // it remembers what it found
      throw failureOf(error);
    }
  };
}

function failureOf(error: unknown): Failure {
  const name = error instanceof Error ? error.name : "";
  if (name === "CredentialsProviderError")
    return new Failure(
      "denied",
      "no credentials for S3 were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile with " +
        "AWS_PROFILE, or give this machine a role",
    );
  return new Failure("unavailable", `credentials for S3 could not be had (${/^\w{1,60}$/.exec(name)?.[0]})`);
}
