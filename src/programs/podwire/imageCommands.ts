import type { Command } from "commander";

/** Puts one value after the other. */
const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

/** `podwire images …` */
export function addImages(podwire: Command): void {
  const images = podwire.command("images").description("images of all your clusters: pull, load, list and remove them");
  images
    .command("pull <name...>")
    .description("get images from their registries, unpack them")
    .option("--config <file>", "read the section images (mirrors, insecure registries) of a cluster's configuration")
    .option("--insecure-registry <host>", "speak plain http with this registry; may be given several times", collect)
    .option("--auth-file <file>", "credentials as docker login keeps them (default: ~/.docker/config.json)")
    .option("--json", "say what came as JSON")
    .action(async (names: string[], flags) => (await import("./images.ts")).runPull(names, flags));
  images
    .command("ls")
    .description("list the images that are here")
    .option("--json", "as JSON")
    .action(async (flags) => (await import("./images.ts")).runList(flags));
  images
    .command("rm <name...>")
    .description("remove images by name or id, and what no other image needs; one in use stays")
    .option("--json", "say what was removed as JSON")
    .action(async (names: string[], flags) => (await import("./images.ts")).runRemove(names, flags));
  images
    .command("load <path>")
    .description("take images out of an OCI layout (folder or archive) or an archive of docker save")
    .option("--name <name>", "name of an image that has none, or another one")
    .option("--json", "say what came as JSON")
    .action(async (path: string, flags) => (await import("./images.ts")).runLoad(path, flags));
  images
    .command("prune")
    .description("remove what no image needs")
    .option("--all", "also every image that no running cluster has had, with its unpacked layers")
    .option("--json", "say what was removed as JSON")
    .action(async (flags) => (await import("./images.ts")).runPrune(flags));
  images.exitOverride().showHelpAfterError(`(commands are ${images.commands.map((c) => c.name()).join(", ")})`);
  for (const command of images.commands) {
    const names = command.options.map((option) => option.long).join(", ");
    command
      .exitOverride()
      .showHelpAfterError(`(podwire images ${command.name()} ${command.usage()}; options are ${names})`);
  }
}
