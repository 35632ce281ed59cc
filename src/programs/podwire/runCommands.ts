import { type Command, InvalidArgumentError, Option } from "commander";
import { errorMessage } from "#base/errors.ts";
import { EXIT, networkModes, type PublishedPort, parsePublish } from "#run/index.ts";
import { type RunFlags, runPs, runRun, runStop } from "./run.ts";

function published(text: string, before: readonly PublishedPort[] = []): readonly PublishedPort[] {
  try {
    return [...before, parsePublish(text)];
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}

const onOption = () => new Option("--on <node>", "node; default: the first worker");

/** Adds `run`, `ps` and `stop`. @param nameOption makes the option that names a cluster */
export function addRun(podwire: Command, nameOption: () => Option, integer: (text: string) => number): void {
  podwire
    .command("run <image> [command...]")
    .description("run a container on a node, on a network made as Docker makes it")
    .addOption(nameOption())
    .addOption(onOption())
    .addOption(new Option("--network <mode>", "its network").choices(networkModes).default("bridge"))
    .addOption(
      new Option("-p, --publish <port>", "publish a port: [IP:]HOST:CONTAINER[/udp]; may be repeated")
        .argParser(published)
        .default([], "none"),
    )
    .addOption(
      new Option("-e, --env <variable>", "set a variable: K=V, or K for this shell's; may be repeated")
        .argParser((text: string, before: readonly string[] = []) => [...before, text])
        .default([], "none"),
    )
    .option("-w, --workdir <folder>", "working directory inside")
    .option("-u, --user <user>", "user inside: name or uid, with :group or :gid")
    .option("-i, --interactive", "keep standard input open")
    .option("-t, --tty", "give it a terminal")
    .option("-d, --detach", "print the container's id and leave it running")
    .option("--hostname <name>", "its host name")
    .option("--container-name <name>", "name for podwire ps and podwire stop")
    .option("--rm", "nothing: what has ended is always removed")
    .option("--explain", "say each step of making its network as the command that does the same")
    .passThroughOptions()
    // As docker run has it: what is not the container's own exit code is 125.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT.own))
    .action(async (image: string, command: string[], flags: RunFlags) =>
      process.exit(await runRun(image, command, flags)),
    );
  podwire
    .command("ps")
    .description("list the containers that podwire run has started on a node")
    .addOption(nameOption())
    .addOption(onOption())
    .action(async (flags: { name: string; on?: string }) => process.exit(await runPs(flags)));
  podwire
    .command("stop <container...>")
    .description("stop containers that podwire run has started on a node")
    .addOption(nameOption())
    .addOption(onOption())
    .option("-t, --time <seconds>", "how long to wait before it is killed", integer, 10)
    .action(async (containers: string[], flags: { name: string; on?: string; time: number }) =>
      process.exit(await runStop(containers, flags)),
    );
}
