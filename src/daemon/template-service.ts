import { Failure } from "../base/failure.ts";
import type { TemplateService, TemplateView } from "../api/ports.ts";
import type { Store } from "../store/store.ts";
import type { FoundTemplate } from "../store/template-records.ts";

const mebibyte = 2 ** 20;

/** Templates of the store, as the API shows them. */
export function templateService(
  { templates: records, templateTags }: Pick<Store, "templates" | "templateTags">,
  agentVersion: string,
): TemplateService {
  return {
    list: async () => {
      const all = await records.list();
      const found = await Promise.all(all.map(({ id }) => records.find(id)));
      return found.filter((each) => each !== undefined).map((each) => viewOf(each, agentVersion));
    },
    get: async (idOrName) => {
      const found = await records.find(idOrName);
      if (found === undefined) throw new Failure("not_found", `there is no template '${idOrName}'`);
      return viewOf(found, agentVersion);
    },
    remove: (idOrName) => templateTags.forgetTemplate(idOrName),
    tags: async (idOrName) =>
      (await templateTags.list(idOrName)).map(({ diskBuild, ...tag }) => ({ ...tag, buildId: diskBuild })),
    tag: (target, tags) => templateTags.assign(target, tags),
    untag: (idOrName, tags) => templateTags.take(idOrName, tags),
  };
}

function viewOf({ template, builds }: FoundTemplate, agentVersion: string): TemplateView {
  const [newest] = builds;
  if (newest === undefined) throw new Failure("internal", `template '${template.name}' has no build`);
  return {
    id: template.id,
    names: [template.name],
    buildId: newest.id,
    cpuCount: newest.vcpus,
    memoryMb: Math.round(newest.memoryBytes / mebibyte),
    diskMb: Math.round(newest.diskBytes / mebibyte),
    createdAt: template.createdAt,
    updatedAt: template.updatedAt,
    agentVersion,
  };
}
