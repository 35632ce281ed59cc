import { type Command, Option } from "commander";
import type { ToolAction } from "#cni/index.ts";
import { runCni } from "./cni.ts";

interface Flags {
  readonly name: string;
  readonly on?: string;
  readonly ifname?: string;
}

const EXAMPLES = `
What is printed is a result or an error of CNI, in JSON. The network is the first file of the node's /etc/cni/net.d.

  podwire exec node01 -- ip netns add red
  podwire cni add red --on node01
  podwire exec node01 -- ip -n red addr
  podwire cni del red --on node01`;

/** Adds `cni`. @param nameOption makes the option that names a cluster */
export function addCni(podwire: Command, nameOption: () => Option): void {
  const cni = podwire
    .command("cni")
    .description("do by hand what a container runtime asks of a node's network plugins")
    .addHelpText("after", EXAMPLES);
  const command = (action: ToolAction, argument: string, text: string) => {
    const made = cni
      .command(`${action}${argument}`)
      .description(text)
      .addOption(nameOption())
      .addOption(new Option("--on <node>", "node; default: the first worker"));
    return argument === "" ? made : made.option("--ifname <name>", "name of the interface inside", "eth0");
  };
  const act = async (action: ToolAction, { name, on, ifname }: Flags, netns?: string) => {
    const wish = {
      action,
      ...(netns === undefined ? {} : { netns }),
      ...(ifname === undefined ? {} : { ifName: ifname }),
    };
    process.exit(await runCni(wish, { name, ...(on === undefined ? {} : { on }) }));
  };
  const one = (action: ToolAction, text: string) =>
    command(action, " <namespace>", text).action((netns: string, flags: Flags) => act(action, flags, netns));
  const all = (action: ToolAction, text: string) =>
    command(action, "", text).action((flags: Flags) => act(action, flags));
  one("add", "attach a network namespace: a path, or a name of ip netns");
  one("del", "detach it");
  one("check", "ask the plugins whether it is attached as it should be");
  all("status", "ask the plugins whether an add could work now");
  all("gc", "let go of what was attached by hand to namespaces that are gone");
}
