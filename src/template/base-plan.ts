import type { MachineShape } from "../build/manifest.ts";
import { sameShape } from "../machine/machine-shape.ts";
import type { BuildRecord } from "../store/template-records.ts";

/** What `base` would be made for; the first one is preferred. */
export interface BaseCandidate {
  readonly shape: MachineShape;
  /** Machines of this shape and recipe were made here before, and did not run or did not restore. */
  readonly failed: boolean;
}

export type BasePlan =
  | { readonly kind: "keep"; readonly build: BuildRecord }
  /** `because` says in half a sentence what is wrong with what there is. */
  | { readonly kind: "make"; readonly because: string };

/** The builds that the name `base` stands for now, the newest first, and what is wanted instead. */
export interface BaseFacts {
  readonly recipe: string;
  readonly candidates: readonly BaseCandidate[];
  readonly builds: readonly BuildRecord[];
}

/** Decides whether `base` has to be made: only when its recipe or the machine's shape has changed. */
export function planBase({ recipe, candidates, builds }: BaseFacts): BasePlan {
  if (builds.length === 0) return { kind: "make", because: "there is none yet" };
  const ofRecipe = builds.filter((build) => build.recipe === recipe);
  if (ofRecipe.length === 0) return { kind: "make", because: "its recipe has changed" };
  const wanted = candidates.find(({ failed }) => !failed) ?? candidates.at(-1);
  if (wanted === undefined) return { kind: "make", because: "nothing is known of this machine" };
  const kept = ofRecipe.find((build) => sameMachine(build, wanted.shape));
  return kept === undefined
    ? { kind: "make", because: `the machine is another one: ${difference(ofRecipe, wanted.shape)}` }
    : { kind: "keep", build: kept };
}

function sameMachine({ shape }: BuildRecord, wanted: MachineShape): boolean {
  return shape !== undefined && sameShape(shape, wanted).same;
}

function difference(builds: readonly BuildRecord[], wanted: MachineShape): string {
  for (const { shape } of builds) {
    const comparison = shape && sameShape(shape, wanted);
    if (comparison?.same === false) return comparison.reason;
  }
  return "what there is has no memory";
}
