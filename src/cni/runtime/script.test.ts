import { describe, expect, it } from "vitest";
import { isOwnWrapper } from "./binaries.ts";
import { scriptWords } from "./script.ts";

describe("N05 net-script.sh (part: the words of hand-written scripts)", () => {
  it.each([
    ['case "$1" in\nadd)\n;;\ndel)\n;;\nesac', "add", "del", "DEL"],
    ["case $1 in\n  ADD)\n  ;;\n  DEL)\n  ;;\nesac", "ADD", "DEL", "DEL"],
    ["case $CNI_COMMAND in ADD) up;; DELETE) down;; esac", "ADD", "DELETE", "DELETE"],
    ['case "$1" in add|ADD) ;; delete|DELETE) ;; esac', "add", "delete", "DELETE"],
    ['case "$CNI_COMMAND" in\n"ADD")\n;;\n"DEL")\n;;\n"DELETE")\n;;\nesac', "ADD", "DEL", "DEL"],
    ["# ADD) and DELETE) sections\necho $1 $2 $3", "add", "del", "DEL"],
    ["", "add", "del", "DEL"],
  ])("%j", (text, add, del, environment) => {
    expect(scriptWords(text, "ADD")).toEqual({ argument: add, environment: "ADD" });
    expect(scriptWords(text, "DEL")).toEqual({ argument: del, environment });
  });
});

describe("our wrappers in /opt/cni/bin", () => {
  const wrapper = '#!/bin/sh\nexec /opt/podwire/bin/node /opt/podwire/dist/cni.cjs bridge "$@"\n';
  it("are known, and edited ones are not", () => {
    expect(isOwnWrapper(wrapper, "bridge")).toBe(true);
    expect(isOwnWrapper(wrapper, "loopback")).toBe(false);
    expect(isOwnWrapper(wrapper.replace("exec", "echo called >> /tmp/log\nexec"), "bridge")).toBe(false);
    expect(isOwnWrapper(wrapper.replace("cni.cjs", "mycni.cjs"), "bridge")).toBe(false);
  });
});
