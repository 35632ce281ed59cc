import { describe, expect, it } from "vitest";
import { parseIp } from "#base/ip.ts";
import { serviceFrontends } from "../../model/index.ts";
import { type EndpointSpec, service, slice } from "../../testing/objects.ts";
import { FamilyRules } from "./familyRules.ts";
import { familyLayout } from "./layout.ts";
import { endpointChain, portChains } from "./names.ts";
import { cleanupText, parseSaved } from "./saved.ts";

const node = { name: "node01", addresses: [parseIp("192.168.1.11")] };

/** Two Services with two endpoints each, in the kernel. */
function synced(): FamilyRules {
  const rules = new FamilyRules(familyLayout(4, { nodeName: "node01", localTraffic: { kind: "none" } }));
  rules.setNode(node);
  put(rules, "web", ["10.244.1.2", "10.244.1.3"]);
  put(rules, "db", ["10.244.1.4", "10.244.1.5"]);
  rules.adopt(parseSaved(""));
  rules.plan();
  rules.applied();
  return rules;
}

function put(rules: FamilyRules, name: string, endpoints: readonly EndpointSpec[] | undefined): void {
  const object = service(name, { clusterIP: name === "web" ? "10.96.0.1" : "10.96.0.2" });
  const frontends = endpoints ? serviceFrontends(object, endpoints.length ? [slice(name, endpoints)] : [], node) : [];
  rules.setService(`shop/${name}`, frontends);
}

const chainsIn = (text: string) => [...text.matchAll(/^:(\S+)/gm)].map(([, chain]) => chain);
const sep = (name: string, ip: string) => endpointChain(`shop/${name}:http`, "tcp", `${ip}:8080`);
const web = portChains("shop/web:http", "tcp");

describe("partial sync of iptables mode", () => {
  it("nothing changed: nothing is written", () => {
    expect(synced().plan()).toBeUndefined();
  });

  it("an endpoint comes and one goes: only that Service's chains are written, and the old one is removed", () => {
    const rules = synced();
    put(rules, "web", ["10.244.1.3", "10.244.1.9"]);
    const input = rules.plan();
    expect(input?.isFull).toBe(false);
    expect(chainsIn(input?.text ?? "").sort()).toEqual(
      [web.cluster, sep("web", "10.244.1.2"), sep("web", "10.244.1.3"), sep("web", "10.244.1.9")].sort(),
    );
    expect(input?.text.match(/^-X .*/gm)).toEqual([`-X ${sep("web", "10.244.1.2")}`]);
    expect(input?.text).not.toContain("*filter");
  });

  it("the last endpoint goes: the dispatching chains are written too, and none of the other Service's", () => {
    const rules = synced();
    put(rules, "web", []);
    const text = rules.plan()?.text ?? "";
    expect(chainsIn(text).sort()).toEqual(
      ["KUBE-SERVICES", "KUBE-SERVICES", web.cluster, sep("web", "10.244.1.2"), sep("web", "10.244.1.3")].sort(),
    );
    expect(text).toContain('shop/web:http has no endpoints" -m tcp -p tcp -d 10.96.0.1 --dport 80 -j REJECT');
    expect(text.indexOf("*filter")).toBeLessThan(text.indexOf("*nat"));
    // The other Service's rule, and the one for NodePorts, which has to be the last.
    const dispatch = text.match(/^-A KUBE-SERVICES .*/gm)?.slice(1);
    expect(dispatch).toEqual([
      expect.stringContaining("shop/db:http cluster IP"),
      expect.stringContaining("nodeports;"),
    ]);
  });

  it("a Service goes and comes back: all of its chains go, and are made again", () => {
    const rules = synced();
    put(rules, "web", undefined);
    expect(rules.plan()?.text.match(/^-X .*/gm)).toHaveLength(3);
    rules.applied();
    put(rules, "web", ["10.244.1.2"]);
    expect(chainsIn(rules.plan()?.text ?? "")).toEqual(["KUBE-SERVICES", web.cluster, sep("web", "10.244.1.2")]);
  });

  it("what failed is written with the next attempt", () => {
    const rules = synced();
    put(rules, "web", ["10.244.1.3"]);
    const first = rules.plan()?.text;
    expect(rules.plan()?.text).toBe(first);
  });

  it("more than 1000 endpoints: no comments for each (large cluster mode), but for the Service", () => {
    const rules = synced();
    const many = Array.from({ length: 1000 }, (_, i) => `10.245.${i >> 8}.${i & 255}`);
    put(rules, "db", many);
    const text = rules.plan()?.text ?? "";
    const one = sep("db", "10.245.0.0");
    expect(text).toContain(`-A ${one} -s 10.245.0.0 -j KUBE-MARK-MASQ\n`);
    expect(text).not.toMatch(/shop\/db:http ->/);
  });
});

describe("iptables mode finds what is there", () => {
  const kernels = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"]
    .map((chain) => `:${chain} ACCEPT [0:0]\n`)
    .join("");
  const there = `*filter
:INPUT ACCEPT [0:0]
:KUBE-NODEPORTS - [0:0]
-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
:KUBE-SEP-CCCCCCCCCCCCCCCC - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m comment --comment "leads -j KUBE-SEP-BBBBBBBBBBBBBBBB" -j MINE
-A MINE -p tcp -j KUBE-SEP-CCCCCCCCCCCCCCCC
-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-BBBBBBBBBBBBBBBB
COMMIT
`;

  it("full sync: jumps that are there stay, others are put first; chains of former Services go, unless used", () => {
    const rules = synced();
    rules.adopt(parseSaved(there));
    const text = rules.plan()?.text ?? "";
    expect(text.match(/^-X .*/gm)).toEqual(["-X KUBE-SVC-AAAAAAAAAAAAAAAA", "-X KUBE-SEP-BBBBBBBBBBBBBBBB"]);
    const inserted = text.match(/^-I (PREROUTING|POSTROUTING|INPUT .*NODEPORTS).*/gm);
    expect(inserted).toEqual([
      '-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    ]);
    // In each of the tables that somebody might flush.
    expect(text.match(/^:KUBE-PROXY-CANARY - \[0:0\]$/gm)).toHaveLength(3);
  });

  it("full sync: chains that are there as they should be are not written, jumps that are missing are", () => {
    const rules = synced();
    rules.adopt(parseSaved(""));
    const all = rules.plan()?.text ?? "";
    // Somebody flushed the kernel's own chains.
    rules.adopt(parseSaved(all));
    const text = rules.plan()?.text ?? "";
    expect(text).not.toMatch(/^[:-](?!I )/m);
    expect(text.match(/^-I .*/gm)).toEqual(all.match(/^-I .*/gm));
    // Nothing is missing.
    rules.adopt(
      parseSaved(all.replaceAll("-I ", "-A ").replace(/^:KUBE-SERVICES /gm, (found) => `${kernels}${found}`)),
    );
    expect(rules.plan()).toEqual({ text: "", rules: { filter: 0, nat: 0 }, isFull: true });
  });

  it("full sync: what the kubelet has in the chain that both write to stays", () => {
    const rules = synced();
    const kubelets = '-m comment --comment "kubernetes firewall" -m mark --mark 0x8000/0x8000 -j DROP';
    const chain = (...lines: string[]) =>
      `*filter\n:KUBE-FIREWALL - [0:0]\n${lines.map((line) => `-A KUBE-FIREWALL ${line}\n`).join("")}COMMIT\n`;
    const written = (saved: string) => {
      rules.adopt(parseSaved(saved));
      return [...(rules.plan()?.text ?? "").matchAll(/^-A KUBE-FIREWALL (.*)$/gm)].map(([, rule]) => rule);
    };
    const [own = ""] = written("");
    expect(written(chain(kubelets))).toEqual([kubelets, own]);
    expect(written(chain(own, kubelets))).toEqual([]);
  });

  it("cleanup: every chain of a proxy and its own jumps; what others lead to is emptied and stays", () => {
    const text = cleanupText(parseSaved(there));
    expect(text.match(/^-X .*/gm)?.sort()).toEqual([
      "-X KUBE-NODEPORTS",
      "-X KUBE-SEP-BBBBBBBBBBBBBBBB",
      "-X KUBE-SERVICES",
      "-X KUBE-SVC-AAAAAAAAAAAAAAAA",
    ]);
    expect(text.match(/^-D .*/gm)).toEqual([
      '-D INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
      '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    ]);
    const used = there.replace(
      "COMMIT\n*nat",
      "-A INPUT -s 192.0.2.1/32 -j KUBE-NODEPORTS\n-A KUBE-NODEPORTS -j ACCEPT\n$&",
    );
    const filter = cleanupText(parseSaved(used)).split("*nat")[0];
    expect(filter?.split("\n")).toEqual([
      "*filter",
      ":KUBE-NODEPORTS - [0:0]",
      '-D INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
      ...["COMMIT", ""],
    ]);
    // Once that is done, nothing is left to do.
    const done =
      "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-NODEPORTS - [0:0]\n-A INPUT -s 192.0.2.1/32 -j KUBE-NODEPORTS\nCOMMIT\n";
    expect(cleanupText(parseSaved(done))).toBe("");
  });

  it("cleanup: chains of upstream's ipvs mode go as well", () => {
    const text = cleanupText(
      parseSaved(`*nat
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-NODE-PORT - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-DROP - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
COMMIT
`),
    );
    expect(text.match(/^-X .*/gm)).toEqual(["-X KUBE-LOAD-BALANCER", "-X KUBE-NODE-PORT", "-X KUBE-SERVICES"]);
  });

  it("packets outside of the window are dropped, unless connection tracking is liberal (part: tcpBeLiberal)", () => {
    const forward = (isTcpLiberal: boolean) =>
      familyLayout(4, { nodeName: "node01", localTraffic: { kind: "none" }, isTcpLiberal }).fixed.filter[0]?.[1];
    const invalid = "-m conntrack --ctstate INVALID -j DROP";
    expect(forward(false)?.[0]).toBe(invalid);
    expect(forward(true)).toEqual(forward(false)?.slice(1));
  });

  const guard = `:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
`;
  it.each([
    ["goes with the proxy", `*filter\n${guard}COMMIT\n`, true],
    ["stays where a kubelet is", `*mangle\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n*filter\n${guard}COMMIT\n`, false],
    ["stays where somebody added a rule", `*filter\n${guard}-A KUBE-FIREWALL -j DROP\nCOMMIT\n`, false],
  ])("the chain that guards 127.0.0.1 %s", (_, saved, goes) => {
    expect(cleanupText(parseSaved(saved)).includes("-X KUBE-FIREWALL")).toBe(goes);
  });
});
