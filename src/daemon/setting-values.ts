import path from "node:path";
import { Failure } from "../base/failure.ts";
import { secretCharactersMin } from "../peers/peer-key.ts";
import { checkBucketUrl } from "../bucket/open-bucket.ts";

/**
 * What a setting may be: each takes the text of one variable and gives its value, or throws `invalid` with a sentence
 * that names the variable, says what was given and what would be right.
 */
export type Reader<Value> = (variable: string, text: string) => Value;

export const directory: Reader<string> = (variable, text) => {
  if (!path.isAbsolute(text)) throw wrong(variable, text, "an absolute path");
  if (text.includes("\0")) throw wrong(variable, text, "a path without NUL");
  return path.normalize(text).replace(/(?<=.)\/+$/, "");
};

export const port: Reader<number> = (variable, text) => {
  const value = whole(text);
  if (value === undefined || value > 65_535)
    throw wrong(variable, text, "a port from 0 (any free one) to 65535");
  return value;
};

/** A host name or an address to bind to. */
export const host: Reader<string> = (variable, text) => {
  if (!/^[A-Za-z0-9._:-]{1,253}$/.test(text)) throw wrong(variable, text, "a host name or an IP address");
  return text;
};

const addressesMax = 256;

/** `node1:8701,[fd00::2]:8701`: where other nodes listen. */
export const addresses: Reader<readonly string[]> = (variable, text) => {
  const list = text.split(",").map((each) => each.trim());
  const isAddress = (each: string) => {
    const [, , port] = /^([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5})$/.exec(each) ?? [];
    return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
  };
  if (list.length > addressesMax || !list.every(isAddress))
    throw wrong(variable, text, `up to ${addressesMax} of HOST:PORT, with commas between them`);
  return list;
};

export const sharedSecret: Reader<string> = (variable, text) => {
  // The value is a secret: it is not repeated.
  if (text.length < secretCharactersMin)
    throw new Failure("invalid", `${variable} must have ${secretCharactersMin} characters or more`);
  return text;
};

export const domain: Reader<string> = (variable, text) => {
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?$/i.test(text) || text.length > 180) {
    throw wrong(variable, text, "a domain like sandboxes.example, with a port if clients need one");
  }
  return text.toLowerCase();
};

export const bucketUrl: Reader<string> = (variable, text) => {
  // The value may hold a secret where none belongs: it is not repeated.
  try {
    checkBucketUrl(text);
  } catch (error) {
    throw new Failure("invalid", `${variable}: ${Failure.from(error).message}`);
  }
  return text;
};

export const apiKey: Reader<string> = (variable, text) => {
  // The value is a secret: it is not repeated.
  if (!/^e2b_[0-9a-f]+$/.test(text)) throw new Failure("invalid", `${variable} must be e2b_ and hex digits`);
  return text;
};

const units: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `21474836480`, `20G`, `20 GiB`: units are powers of 1024. */
export function bytes(least: number): Reader<number> {
  return (variable, text) => {
    const match = /^(\d+) ?(?:([KMGT])(?:i?B)?)?$/i.exec(text);
    const value = Number(match?.[1]) * (units[(match?.[2] ?? "").toUpperCase()] ?? Number.NaN);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw wrong(variable, text, `a number of bytes like 20GiB, at least ${least}`);
  };
}

export function count(least: number, most: number): Reader<number> {
  return (variable, text) => {
    const value = whole(text);
    if (value !== undefined && value >= least && value <= most) return value;
    throw wrong(variable, text, `a number from ${least} to ${most}`);
  };
}

export function oneOf<const Choice extends string>(choices: readonly Choice[]): Reader<Choice> {
  return (variable, text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw wrong(variable, text, `one of ${choices.join(", ")}`);
    return found;
  };
}

export const anyText: Reader<string> = (_variable, text) => text;

function whole(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function wrong(variable: string, text: string, right: string): Failure {
  return new Failure("invalid", `${variable} is '${text}', but must be ${right}`);
}
