import { describe, expect, it } from "vitest";
import { runExecutable } from "./executable.ts";
import type { PluginDeps } from "./plugin.ts";

const deps = {} as Omit<PluginDeps, "delegate">;
const run = async (type: string, env: Record<string, string>, stdin: unknown = "") => {
  const text = typeof stdin === "string" ? stdin : JSON.stringify(stdin);
  const { code, stdout } = await runExecutable({ argv: ["/opt/cni.cjs", type], env, stdin: () => text }, deps);
  return { code, answer: JSON.parse(stdout) as Record<string, unknown> };
};
const config = { cniVersion: "1.0.0", name: "mynet", type: "bridge" };

describe("N02 plugins as executables (part: the protocol's errors)", () => {
  it("tells its versions", async () => {
    const { code, answer } = await run("bridge", { CNI_COMMAND: "VERSION" }, { cniVersion: "0.4.0" });
    expect(code).toBe(0);
    expect(answer).toEqual({
      cniVersion: "0.4.0",
      supportedVersions: ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    });
  });

  it("is chosen by its own name too", async () => {
    const input = { argv: ["/opt/cni/bin/loopback"], env: { CNI_COMMAND: "VERSION" }, stdin: () => "{}" };
    expect((await runExecutable(input, deps)).code).toBe(0);
  });

  it.each([
    ["bridge", {}, config, 4, "required env variables [CNI_COMMAND] missing"],
    ["bridge", { CNI_COMMAND: "JUMP" }, config, 4, "unknown CNI_COMMAND: JUMP"],
    [
      "bridge",
      { CNI_COMMAND: "ADD" },
      config,
      4,
      "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing",
    ],
    [
      "bridge",
      { CNI_COMMAND: "DEL", CNI_CONTAINERID: "a/b", CNI_IFNAME: "eth0" },
      config,
      4,
      "invalid characters in containerID: a/b",
    ],
    [
      "bridge",
      { CNI_COMMAND: "DEL", CNI_CONTAINERID: "a", CNI_IFNAME: "a-name-of-16-byte" },
      config,
      4,
      "invalid interface name: a-name-of-16-byte",
    ],
    [
      "bridge",
      { CNI_COMMAND: "DEL", CNI_CONTAINERID: "a", CNI_IFNAME: "eth0" },
      { ...config, cniVersion: "7.0.0" },
      1,
      "incompatible CNI versions",
    ],
    [
      "bridge",
      { CNI_COMMAND: "DEL", CNI_CONTAINERID: "a", CNI_IFNAME: "eth0" },
      { cniVersion: "1.0.0" },
      7,
      "missing network name",
    ],
    [
      "bridge",
      { CNI_COMMAND: "DEL" },
      '{"name": \u201cmynet\u201d}',
      6,
      "error parsing configuration: standard input:1: a curly quote",
    ],
    [
      "host-local",
      { CNI_COMMAND: "ADD", CNI_CONTAINERID: "a", CNI_NETNS: "/x", CNI_IFNAME: "eth0" },
      config,
      7,
      'IPAM config missing "ipam" key',
    ],
    ["portmap", { CNI_COMMAND: "ADD" }, config, 4, 'no plugin "portmap"; there are bridge, host-local, loopback'],
  ])("%s %j answers with an error of the specification", async (type, env, stdin, code, message) => {
    const { code: exit, answer } = await run(type, env as Record<string, string>, stdin);
    expect(exit).toBe(1);
    expect(answer.code).toBe(code);
    expect(answer.msg).toContain(message);
  });
});
