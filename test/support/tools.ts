import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Folders of programs on a distribution. */
const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The folder of tools that `npm test` and `npm start` fetch (nginx, iptables, …), undefined before the first time. */
function toolsFolder(): string | undefined {
  const given = process.env["PODWIRE_TOOLS"];
  if (given) return join(given, "root");
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "podwire");
  if (!existsSync(cache)) return undefined;
  const found = readdirSync(cache).find((name) => name.startsWith("tools-") && existsSync(join(cache, name, "stamp")));
  return found && join(cache, found, "root");
}

/**
 * An environment in which the fetched tools run outside of the lab, where they are laid over /usr: PATH, and where
 * their libraries and iptables' extensions are. The host's own programs come first.
 */
export function toolsEnvironment(): NodeJS.ProcessEnv {
  const top = toolsFolder();
  const path = [process.env["PATH"] ?? "", ...folders];
  if (!top) return { ...process.env, PATH: path.join(delimiter) };
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const libraries = join(top, "usr/lib", triplet);
  const extensions = join(libraries, "xtables");
  return {
    ...process.env,
    PATH: [...path, ...folders.map((folder) => top + folder)].join(delimiter),
    LD_LIBRARY_PATH: [process.env["LD_LIBRARY_PATH"], libraries].filter(Boolean).join(delimiter),
    ...(existsSync(extensions) ? { XTABLES_LIBDIR: extensions } : {}),
  };
}

/** The file of a program, on this machine or among the fetched tools. Throws when there is none. */
export function findTool(name: string): string {
  const candidates = (toolsEnvironment()["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
  const found = candidates.find((file) => existsSync(file));
  if (!found) throw new Error(`${name} is not on this machine; \`npm test\` fetches it`);
  return found;
}
