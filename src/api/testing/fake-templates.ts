import { Failure } from "../../base/failure.ts";
import type { TemplateService, TemplateTagView, TemplateView } from "../ports.ts";

/** One template, `base`, whose tags all lead to its one build. */
export class FakeTemplates implements TemplateService {
  readonly #tags = new Set(["default"]);
  #there = true;

  async list(): Promise<readonly TemplateView[]> {
    return this.#there ? [template] : [];
  }

  async get(idOrName: string): Promise<TemplateView> {
    const [name = "", tag = "default"] = idOrName.split(":");
    const named = name === template.id || template.names.includes(name);
    if (named && this.#there && this.#tags.has(tag)) return template;
    throw new Failure("not_found", `there is no template '${idOrName}'`);
  }

  async remove(idOrName: string): Promise<boolean> {
    const there = this.#there && idOrName === "base";
    if (there) this.#there = false;
    return there;
  }

  async tags(idOrName: string): Promise<readonly TemplateTagView[]> {
    const { buildId, createdAt } = await this.get(idOrName);
    return [...this.#tags].sort().map((tag) => ({ tag, buildId, createdAt }));
  }

  async tag(target: string, tags: readonly string[]): Promise<string> {
    const { buildId } = await this.get(target);
    for (const tag of tags) this.#tags.add(tag);
    return buildId;
  }

  async untag(idOrName: string, tags: readonly string[]): Promise<void> {
    await this.get(idOrName);
    for (const tag of tags) this.#tags.delete(tag);
  }
}

const template: TemplateView = {
  id: "t0base",
  names: ["base"],
  buildId: "0b9c6f5e-0000-4000-8000-000000000001",
  cpuCount: 1,
  memoryMb: 512,
  diskMb: 10_240,
  createdAt: Date.UTC(2026, 0, 1),
  updatedAt: Date.UTC(2026, 0, 1),
  agentVersion: "0.6.13",
};
