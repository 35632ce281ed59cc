import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { askHelpers, helperNames } from "./credentialHelpers.ts";

const folder = mkdtempSync(join(tmpdir(), "pw-helpers-"));
afterAll(() => rmSync(folder, { recursive: true }));
const helper = (name: string, script: string) => {
  const path = join(folder, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
};
const PATH = `${folder}:${process.env["PATH"]}`;
const ask = (config: object, ...hosts: string[]) => askHelpers(helperNames(JSON.stringify(config)), hosts, PATH);

// The protocol: docker/docker-credential-helpers, README.md ("Development").
describe("credential helpers of ~/.docker/config.json", () => {
  helper(
    "good",
    `[ "$1" = get ] && read server; printf '{"ServerURL":"%s","Username":"for","Secret":"%s"}' "$server" "$server"`,
  );
  helper("token", `echo '{"Username":"<token>","Secret":"abc"}'`);
  helper("none", `echo "credentials not found in native keychain"; exit 1`);
  helper("broken", `echo "the keychain is locked"; exit 1`);
  helper("strange", `echo '{"Secret":"hidden"}'`);
  helper("long", "head -c 1000000 /dev/zero");

  it("are asked for the registry that they are for, the store for all others", async () => {
    const { entries } = await ask(
      { credHelpers: { "a.example": "token" }, credsStore: "good" },
      "a.example",
      "docker.io",
    );
    expect(entries).toEqual([
      { place: "a.example", credentials: { username: "", password: "", identityToken: "abc" } },
      {
        place: "docker.io",
        credentials: { username: "for", password: "https://index.docker.io/v1/" },
      },
    ]);
    expect(await ask({ credHelpers: { "a.example": "good" } }, "b.example")).toEqual({ entries: [] });
  });

  it("may know nothing", async () => {
    expect(await ask({ credsStore: "none" }, "a.example")).toEqual({ entries: [] });
  });

  it.each([
    ["broken", "error getting credentials for a.example from docker-credential-broken: the keychain is locked"],
    ["strange", "from docker-credential-strange: its answer is no JSON with Username and Secret"],
    ["long", "maxBuffer"],
    ["absent", "ENOENT"],
  ])("fail with their reason: %s", async (credsStore, words) => {
    await expect(ask({ credsStore }, "a.example")).rejects.toThrow(words);
  });

  it.each(["../evil", "a b", "/bin/x", 7])("have names, not paths: %j", (credsStore) => {
    expect(() => helperNames(JSON.stringify({ credsStore }))).toThrow("is no name of a credential helper");
  });
});
