import { Failure } from "../base/failure.ts";
import type { TemplateService, TemplateView } from "../api/ports.ts";
import type { FoundTemplate, TemplateRecords } from "../store/template-records.ts";

const mebibyte = 2 ** 20;

/** Templates of the store, as the API shows them. */
export function templateService(records: TemplateRecords, agentVersion: string): TemplateService {
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
