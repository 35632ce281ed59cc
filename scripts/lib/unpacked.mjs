// Debian packages for benchmarks: unpacked into the user's cache, nothing is installed and no service started.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";
import { aptConfiguration, download, known, resolvePackages, run } from "./packages.mjs";
import { cacheDirectory } from "./paths.mjs";
import { Refusal, say } from "./say.mjs";
import { unpack } from "./tools.mjs";

/**
 * The folder in which the packages and what they need are unpacked, with one usr/; filled on first use.
 * @throws Refusal when they cannot be had
 */
export async function unpackedPackages(names) {
  const hash = createHash("sha256").update(names.join()).digest("hex").slice(0, 12);
  const folder = path.join(cacheDirectory(), `packages-${hash}`);
  const root = path.join(folder, "root");
  if (fs.existsSync(root)) return root;
  return await withLock(`${folder}.lock`, async () => {
    if (fs.existsSync(root)) return root;
    const work = `${folder}.new-${process.pid}`;
    try {
      const configuration = aptConfiguration(path.join(work, "apt"));
      say(`fetching ${names.join(", ")} (into the cache; nothing is installed)`);
      const update = await run("apt-get", ["-c", configuration, "-qq", "update"]);
      const there = await known(configuration, names);
      if (there.length < names.length)
        throw new Refusal(`there are no packages ${names.join(", ")}: ${update.err.trim().split("\n").pop()}`);
      const packages = await resolvePackages(configuration, names);
      await unpack(await download(configuration, packages, path.join(work, "archives")), path.join(work, "root"));
      for (const name of ["apt", "archives"]) fs.rmSync(path.join(work, name), { recursive: true, force: true });
      fs.renameSync(work, folder);
      return root;
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  });
}
