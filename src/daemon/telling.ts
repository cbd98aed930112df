import type { BucketRegister } from "../template/bucket-register.ts";

/** What of these changes names. */
const changing = new Set<PropertyKey>(["create", "remove", "tag", "untag", "fork"]);

/** The same service; whenever it may have changed a name, the bucket is told. */
export function telling<Service extends object>(
  service: Service,
  register: Pick<BucketRegister, "changed">,
): Service {
  return new Proxy(service, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const answer: unknown = Reflect.apply(member, target, args);
        if (!changing.has(name) || !(answer instanceof Promise)) return answer;
        return answer.finally(() => register.changed());
      };
    },
  });
}
