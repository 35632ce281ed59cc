import type { Plugin, Site } from "../core/index.ts";

/** A plugin that publishes answers. */
export type Publisher = Plugin & Required<Pick<Plugin, "publish">>;

/** Whether a plugin's answers may be given without the plugins of its server block. */
export type Eligibility =
  | {
      readonly publisher: Publisher;
      readonly allowed: true;
      readonly shuffles: boolean;
    }
  | { readonly publisher: Publisher; readonly allowed: false; readonly reason: string };

/**
 * Looks at a block's plugins that publish answers: every other that would see a query before it, or its answer, has to
 * say what it means for answers given without it.
 */
export function eligibility({ plugins }: Pick<Site, "plugins">): Eligibility[] {
  return plugins.flatMap((publisher, at): Eligibility[] => {
    if (!publishes(publisher)) return [];
    const before = plugins.slice(0, at);
    const seeing = [...before.filter(({ handle }) => handle), ...plugins.filter(({ answered }) => answered)];
    const unknown = seeing.find(({ hot }) => hot === undefined);
    if (unknown) return [{ publisher, allowed: false, reason: `plugin ${unknown.name} has to see every query` }];
    return [{ publisher, allowed: true, shuffles: before.some(({ hot }) => hot === "shuffles") }];
  });
}

function publishes(plugin: Plugin): plugin is Publisher {
  return plugin.publish !== undefined;
}
