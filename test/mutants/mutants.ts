import { fetchingMutants } from "./fetching-mutants.ts";
import { keepingMutants } from "./keeping-mutants.ts";
import type { Mutant } from "./mutant.ts";

/** Every promise that the cache keeps has one at least. */
export const mutants: readonly Mutant[] = [...fetchingMutants, ...keepingMutants];
