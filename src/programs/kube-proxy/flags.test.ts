import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fieldPaths, ruleOf } from "#services/index.ts";
import { settle } from "./configuration.ts";
import { FlagError, parseProxyFlags } from "./flags.ts";
import { helpText } from "./help.ts";

const file = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: from-file
`;
const settled = (...argv: string[]) => settle(parseProxyFlags(argv), () => file);

describe("V04 V06 podwire kube-proxy (part: flags)", () => {
  it("flags have kube-proxy's names and set the configuration's fields", () => {
    const { config, nodeName } = settled(
      "--proxy-mode=iptables",
      "--iptables-sync-period",
      "1m",
      "--iptables-min-sync-period=2s",
      "--iptables-masquerade-bit=15",
      "--masquerade-all",
      "--cluster-cidr=10.244.0.0/16,fd00::/48",
      "--nodeport-addresses=10.0.0.0/8,192.168.0.0/16",
      "--conntrack-max-per-core=0",
      "--conntrack-tcp-timeout-established=1h",
      "--detect-local-mode=InterfaceNamePrefix",
      "--pod-interface-name-prefix=veth",
      "--healthz-bind-address=0.0.0.0:1234",
      "--hostname-override=Node01",
      "-v=4",
    );
    expect(nodeName).toBe("node01");
    expect(config).toMatchObject({
      mode: "iptables",
      "iptables.syncPeriod": 60_000,
      "nftables.syncPeriod": 60_000,
      "iptables.minSyncPeriod": 2000,
      "iptables.masqueradeBit": 15,
      "iptables.masqueradeAll": true,
      "nftables.masqueradeAll": true,
      clusterCIDR: "10.244.0.0/16,fd00::/48",
      nodePortAddresses: ["10.0.0.0/8", "192.168.0.0/16"],
      "conntrack.maxPerCore": 0,
      "conntrack.tcpEstablishedTimeout": 3_600_000,
      detectLocalMode: "InterfaceNamePrefix",
      "detectLocal.interfaceNamePrefix": "veth",
      healthzBindAddress: "0.0.0.0:1234",
      "logging.verbosity": 4,
    });
  });

  it("the file wins over flags, but for the node's name and the verbosity; what is passed over is said", () => {
    const { config, nodeName, notes } = settled(
      "--config=f",
      "--proxy-mode=iptables",
      "--v=6",
      "--cluster-cidr=10.0.0.0/8",
    );
    expect(config).toMatchObject({ mode: "nftables", clusterCIDR: "", "logging.verbosity": 6 });
    expect(nodeName).toBe("from-file");
    expect(settled("--config=f", "--hostname-override=by-flag").nodeName).toBe("by-flag");
    expect(notes).toEqual([
      "--proxy-mode: the file of --config decides",
      "--cluster-cidr: the file of --config decides",
    ]);
  });

  it("an empty address serves nothing, and so does the deprecated port 0", () => {
    expect(settled("--metrics-bind-address=", "--healthz-port=0").config).toMatchObject({
      metricsBindAddress: "",
      healthzBindAddress: "",
    });
  });

  it("flags without effect are said", () => {
    expect(
      settled("--vmodule=a=1", "--profiling", "--kube-api-qps=50").notes.map((note) => note.split(":")[0]),
    ).toEqual(["--vmodule", "clientConnection.qps", "enableProfiling"]);
  });

  it.each([
    [["--proxy-mod=x"], "unknown flag: --proxy-mod"],
    [["config.conf"], 'kube-proxy does not take any arguments, got "config.conf"'],
    [["--config"], "flag needs an argument: --config"],
    [["--conntrack-min=many"], 'invalid argument "many" for "--conntrack-min" flag: allowed is a whole number'],
    [["--masquerade-all=maybe"], 'invalid argument "maybe" for "--masquerade-all" flag: allowed is true or false'],
    [["--feature-gates=A"], "allowed is a map of names to true or false"],
    [["--hostname-override= "], "empty hostname-override is invalid"],
  ])("refuses %j", (argv, words) => {
    expect(() => parseProxyFlags(argv)).toThrow(words);
    expect(() => parseProxyFlags(argv)).toThrow(FlagError);
  });

  it("what flags say wrongly is named by the flag", () => {
    expect(() => settled("--iptables-masquerade-bit=40")).toThrow(
      "--iptables-masquerade-bit: iptables.masqueradeBit: Invalid value: 40: must be within the range [0, 31]",
    );
  });

  it("help and version end it well", () => {
    const shown = (flag: string) => {
      try {
        parseProxyFlags([flag]);
      } catch (error) {
        return error as FlagError;
      }
      return undefined;
    };
    expect(shown("--version")).toMatchObject({ code: 0, message: expect.stringMatching(/^Kubernetes v1\.36\.\d+$/) });
    expect(shown("--help")?.message).toMatch(/SYNOPSIS\n {4}podwire kube-proxy --config FILE/);
    expect(shown("-h")?.code).toBe(0);
  });
});

describe("docs/kube-proxy.md (part: what it lists)", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/kube-proxy.md"), "utf8");

  it("has the help as it is, modes left out", () => {
    const help = (text: string) => text.replace(/Modes: .*/, "Modes: …");
    expect(help(page)).toContain(help(helpText()));
  });

  it("has every field, with why it has no effect", () => {
    for (const path of fieldPaths) {
      const { note } = ruleOf(path) ?? {};
      expect(page).toContain(note === undefined ? `| \`${path}\` | ` : `| \`${path}\` | ${note} |`);
    }
  });

  it("has the default of every number, time and switch that has an effect", () => {
    for (const path of fieldPaths) {
      const { note, type, value } = ruleOf(path) ?? {};
      if (note !== undefined || !["bool", "int", "number", "duration"].includes(type ?? "")) continue;
      const row = page.split("\n").find((line) => line.startsWith(`| \`${path}\` | `));
      const seconds = [`${Number(value) / 1000} s`, `${Number(value)} ms`];
      const texts = type === "duration" ? seconds : [String(value)];
      expect(texts.map((text) => `default ${text}`)).toContain(/default -?[\w.]+( m?s\b)?/.exec(row ?? "")?.[0]);
    }
  });
});
