// The locked dependencies, and the Node that runs podwire.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { withLock } from "./lock.mjs";
import { modulesStamp, oldestNode, root } from "./paths.mjs";
import { Refusal, say } from "./say.mjs";

function wantedHash() {
  return createHash("sha256")
    .update(fs.readFileSync(path.join(root, "package-lock.json")))
    .digest("hex");
}

function installedHash() {
  try {
    return fs.readFileSync(modulesStamp, "utf8").trim();
  } catch {
    return "";
  }
}

/**
 * True when what npm noted down as installed is what the lock file says, as after `npm install` by hand: every package
 * there has the locked version, and none is missing but those that are optional (for other systems).
 */
function installedByHand() {
  const read = (name) => JSON.parse(fs.readFileSync(path.join(root, name), "utf8")).packages;
  try {
    const have = read("node_modules/.package-lock.json");
    return Object.entries(read("package-lock.json")).every(
      ([name, { version, optional, peer }]) =>
        name === "" || (have[name] ? have[name].version === version : optional === true || peer === true),
    );
  } catch {
    return false;
  }
}

const writeStamp = () => fs.writeFileSync(modulesStamp, `${wantedHash()}\n`);

/** True when node_modules is what the lock file says. */
export function modulesAreFresh() {
  if (installedHash() === wantedHash()) return true;
  if (!installedByHand()) return false;
  try {
    writeStamp();
  } catch {
    // A checkout of somebody else; looking again costs little.
  }
  return true;
}

/** Says who may write here when this user may not. */
export function refuseForeignCheckout(what) {
  try {
    fs.accessSync(root, fs.constants.W_OK);
  } catch {
    const owner = fs.statSync(root).uid;
    throw new Refusal(
      `${what}, and ${root} belongs to uid ${owner}: its owner runs \`npm start\` once, or clone the repository for yourself`,
    );
  }
}

/** Installs the locked dependencies when they are missing or stale. */
export async function ensureModules() {
  if (modulesAreFresh()) return;
  refuseForeignCheckout("the dependencies are not installed");
  await withLock(path.join(root, ".podwire-install.lock"), async () => {
    if (modulesAreFresh()) return;
    say("installing the locked dependencies (npm ci)");
    const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], {
      cwd: root,
      stdio: ["ignore", 2, 2],
    });
    if (result.error) throw new Refusal(`npm did not start: ${result.error.message}`);
    if (result.status !== 0) throw new Refusal("npm ci failed; its words are above");
    writeStamp();
  });
}

/** Path of a Node new enough: the one that runs this, else the pinned one of node_modules. */
export function findNode() {
  if (Number(process.versions.node.split(".")[0]) >= oldestNode) return process.execPath;
  const pinned = path.join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
  if (fs.existsSync(pinned)) return pinned;
  throw new Refusal(
    `needs Node ${oldestNode} or newer, and none is pinned for ${process.arch}: install it, then run again`,
  );
}
