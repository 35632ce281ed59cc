import type { Plugin, Site } from "../core/index.ts";

/** Whether a server block's answers may be given without its plugins. */
export type Eligibility =
  | {
      readonly allowed: true;
      /** The plugin that publishes answers. */
      readonly publisher: Plugin & Required<Pick<Plugin, "publish">>;
      readonly shuffles: boolean;
    }
  | { readonly allowed: false; readonly reason: string };

/**
 * Looks at a block's plugins: one has to publish answers, and every other that would see a query before it, or its
 * answer, has to say what it means for answers given without it.
 */
export function eligibility({ plugins }: Pick<Site, "plugins">): Eligibility {
  const at = plugins.findIndex(({ publish }) => publish !== undefined);
  const publisher = plugins[at];
  if (!publisher || !publishes(publisher)) return { allowed: false, reason: "no plugin knows its answers in advance" };
  const before = plugins.slice(0, at);
  const seeing = [...before.filter(({ handle }) => handle), ...plugins.filter(({ answered }) => answered)];
  const unknown = seeing.find(({ hot }) => hot === undefined);
  if (unknown) return { allowed: false, reason: `plugin ${unknown.name} has to see every query` };
  return { allowed: true, publisher, shuffles: before.some(({ hot }) => hot === "shuffles") };
}

function publishes(plugin: Plugin): plugin is Plugin & Required<Pick<Plugin, "publish">> {
  return plugin.publish !== undefined;
}
