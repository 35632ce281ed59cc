import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadNetwork, parseNetworkConfig } from "./network.ts";

const file = "/etc/cni/net.d/net-script.conf";

describe("U03 mistakes in CNI configurations (part: comments and quotes)", () => {
  it.each([
    ["a comment", '{\n  "cniVersion": "0.2.0",\n  // the name\n  "name": "mynet"\n}', `${file}:3: a comment`],
    ["a comment line before the configuration", '// /etc/cni/net.d/plugin.conf\n{"name": "a"}', `${file}:1: a comment`],
    ["a hash", '{\n# name\n"name": "mynet"}', `${file}:2: a comment`],
    [
      "a curly quote",
      '{\n  "name": "mynet",\n  "type": \u201cnet-script\u201d,\n}',
      `${file}:3: a curly quote; write a straight one (")`,
    ],
    ["single quotes", "{\n  'name': 'mynet'\n}", `${file}:2: a single quote`],
    ["a comma too many", '{\n  "name": "mynet",\n}', `${file}:2: a comma before the closing bracket`],
    ["an open string", '{\n  "name": "mynet\n}', `${file}:2: text without its closing quote`],
  ])("names file, line and mistake: %s", (_, text, message) => {
    expect(() => parseNetworkConfig(text, file)).toThrow(message);
  });

  it("leaves such characters alone inside of text", () => {
    const text = '{"cniVersion": "0.2.0", "name": "a", "type": "x", "note": "// \u201cit\u201d # \'s, }"}';
    expect(parseNetworkConfig(text, file).plugins[0].note).toBe("// \u201cit\u201d # 's, }");
  });

  it.each([
    ['{"type": "bridge"}', "missing network name"],
    ['{"name": "a b", "type": "bridge"}', "characters that are not allowed"],
    ['{"name": "a"}', 'plugin 0 has no "type"'],
    ['{"name": "a", "type": "../sh"}', "contains a slash"],
    ['{"name": "a", "plugins": []}', "no plugins in the list"],
    ['{"name": "a", "type": "x", "cniVersion": "9.0.0"}', "incompatible CNI versions"],
    ["[]", "not a JSON object"],
  ])("refuses %s", (text, message) => {
    expect(() => parseNetworkConfig(text, file)).toThrow(message);
  });
});

describe("N03 /etc/cni/net.d (part: order of files)", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "podwire-confs-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("takes the first file in alphabetical order, of the endings that count", () => {
    const write = (name: string, network: string) =>
      writeFileSync(join(directory, name), `{"name": "${network}", "type": "x"}`);
    write("20-b.conf", "b");
    write("10-a.conflist.bak", "bak");
    write("15-c.json", "c");
    expect(loadNetwork(directory).name).toBe("c");
    write("05-d.conflist", "d");
    expect(loadNetwork(directory)).toMatchObject({
      name: "d",
      file: join(directory, "05-d.conflist"),
      cniVersion: "0.1.0",
    });
  });

  it("says as upstream does that there is none", () => {
    expect(() => loadNetwork(directory)).toThrow(`no networks found in ${directory}`);
    expect(() => loadNetwork("/nonexistent")).toThrow("no networks found in /nonexistent");
  });
});
