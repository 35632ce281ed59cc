import { describe, expect, it } from "vitest";
import { freePort } from "#base/testing/ports.ts";
import type { Instance, SetupContext } from "../../core/index.ts";
import { parseCorefile } from "../../corefile/index.ts";
import { refusal } from "../../plugins/testBlock.ts";
import { testServers } from "../../testing.ts";
import { setup } from "./setup.ts";

const { start } = testServers();

describe("ready and prometheus", () => {
  it("ready forgets what was ready once, unless it is told to look again", async () => {
    const handlers: (() => { readonly status: number; readonly body: string })[] = [];
    const waiting: string[][] = [];
    const make = async (more: string) => {
      const directive = parseCorefile("Corefile", `. {\n ready :1${more}\n}`)[0]?.directives[0];
      const http = {
        serve: async (_at: string, _path: string, handler: never) => {
          handlers.push(handler);
          return async () => {};
        },
      };
      const instance = { http, notReady: () => waiting.shift() ?? [] } as unknown as Instance;
      await setup(directive as never, { instance } as SetupContext).start?.();
      return handlers.pop() as (typeof handlers)[0];
    };
    const states = [["kubernetes"], [], ["kubernetes"]];
    const once = await make("");
    waiting.push(...states);
    expect([once(), once(), once()].map(({ status }) => status)).toEqual([503, 200, 200]);
    const always = await make(" {\n monitor continuously\n }");
    waiting.push(...states);
    expect([always(), always(), always()].map(({ status }) => status)).toEqual([503, 200, 503]);
    expect(await refusal(". {\n ready {\n  monitor never\n }\n}")).toContain("invalid monitor type: never");
  });

  it("prometheus names the plugins of each zone", async () => {
    const port = await freePort();
    const { metrics } = await start(`.:0 {\n prometheus 127.0.0.1:${port}\n cache\n whoami\n reload\n}`);
    for (const name of ["prometheus", "cache", "whoami"]) {
      expect(metrics.text()).toContain(`coredns_plugin_enabled{server="dns://:0",zone=".",view="",name="${name}"} 1`);
    }
  });
});
