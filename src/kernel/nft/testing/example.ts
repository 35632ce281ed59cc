import { parseCidr, parseIp } from "#base/ip.ts";
import {
  addressFields,
  addressType,
  back,
  type Chain,
  clearMarkBits,
  concat,
  ct,
  ctBits,
  ctStatus,
  dataTypes,
  type Element,
  fibType,
  fibTypes,
  goTo,
  hasMark,
  hostU32,
  inNetwork,
  inSet,
  interfaceName,
  jump,
  mapped,
  match,
  metaFields,
  type NftSet,
  networkU16,
  numgen,
  type Rule,
  type Statement,
  setMarkBits,
  type Table,
  Transaction,
  th,
  vmap,
} from "../index.ts";

/**
 * A table that uses every kind of object, for tests: as small as that allows.
 * @param learning with rules that store map elements: `nft -f` of nft 1.0.6 aborts on those with IPv6 keys
 * (netlink_linearize.c, `dreg < ctx->reg_low`), while it lists them well
 */
export function exampleTable(family: "ip" | "ip6", learning = true) {
  const name = "podwire-example";
  const table: Table = { family, name };
  const { saddr, daddr } = addressFields(family);
  const address = addressType(family);
  const bytes = (v4: string, v6: string) => parseIp(family === "ip" ? v4 : v6).bytes;
  const service = [daddr, metaFields.l4proto, th.dport] as const;
  const client = [saddr, ...service] as const;
  const isConnected: Statement = {
    kind: "match",
    field: ct.state,
    operator: "!=",
    value: new Uint8Array(4),
    mask: hostU32(ctBits.established | ctBits.related),
  };

  const endpoints: NftSet = {
    table,
    name: "endpoints",
    key: [...service, numgen(2)],
    data: [daddr, th.dport],
  };
  const services: NftSet = {
    table,
    name: "services",
    key: [address, dataTypes.inet_proto, dataTypes.inet_service],
    data: "verdict",
  };
  const affinity: NftSet = {
    table,
    name: "affinity",
    key: client,
    data: [metaFields.priority],
    dynamic: true,
    timeout: true,
    size: 1000,
  };
  const sticky: NftSet = {
    table,
    name: "sticky",
    key: [...service, metaFields.priority],
    data: [daddr, th.dport],
  };
  const hairpin: NftSet = { table, name: "hairpin", key: [address, address] };
  const sets = { endpoints, services, affinity, sticky, hairpin };

  const chain = (chainName: string, hook?: Chain["hook"]): Chain => ({
    table,
    name: chainName,
    ...(hook && { hook }),
  });
  const chains = {
    mark: chain("mark-masquerade"),
    pick: chain("pick-2"),
    refuse: chain("refuse"),
    services: chain("services"),
    prerouting: chain("nat-prerouting", {
      type: "nat",
      hook: "prerouting",
      priority: -100,
    }),
    output: chain("nat-output", {
      type: "nat",
      hook: "output",
      priority: -100,
    }),
    postrouting: chain("nat-postrouting", {
      type: "nat",
      hook: "postrouting",
      priority: 100,
    }),
    forward: chain("filter-forward", {
      type: "filter",
      hook: "forward",
      priority: 0,
      policy: "drop",
    }),
  };
  const pods = parseCidr(family === "ip" ? "10.244.0.0/16" : "fd00:10:244::/48");
  const rule = (at: Chain, ...statements: Rule["statements"]): Rule => ({
    chain: at,
    statements,
  });
  const learn = (operation: "update" | "delete"): Rule[] => {
    const statement = {
      kind: "setOperation",
      operation,
      set: "affinity",
      key: client,
      data: metaFields.priority,
    } as const;
    return learning
      ? [
          rule(chains.pick, {
            ...statement,
            ...(operation === "update" && { timeoutMs: 10_000 }),
          }),
        ]
      : [];
  };
  const rules: Rule[] = [
    rule(chains.mark, inNetwork(saddr, pods), back),
    {
      ...rule(chains.mark, setMarkBits(0x4000)),
      comment: "sources outside the pod network",
      origin: { kind: "Test", name: "mark" },
    },
    rule(
      chains.pick,
      {
        kind: "assign",
        field: metaFields.priority,
        value: mapped(client, affinity),
      },
      jump(chains.mark),
    ),
    ...learn("update"),
    ...learn("delete"),
    rule(chains.pick, {
      kind: "nat",
      type: "dnat",
      family,
      to: mapped([...service, metaFields.priority], sticky),
    }),
    rule(chains.pick, {
      kind: "nat",
      type: "dnat",
      family,
      to: mapped([...service, numgen(2)], endpoints),
    }),
    rule(chains.pick, match(metaFields.l4proto, Uint8Array.of(6)), {
      kind: "nat",
      type: "dnat",
      family,
      to: { kind: "address", address: bytes("10.0.0.1", "fd00::1"), port: 80 },
    }),
    rule(chains.refuse, match(metaFields.l4proto, Uint8Array.of(6)), {
      kind: "reject",
      with: { kind: "tcp reset" },
    }),
    rule(chains.refuse, { kind: "reject", with: { kind: "icmp", code: 3 } }),
    rule(
      chains.services,
      match(fibType("daddr"), hostU32(fibTypes.local)),
      inNetwork(daddr, parseCidr(family === "ip" ? "127.0.0.0/8" : "::1/128"), "!="),
      vmap(service, services),
    ),
    rule(chains.services, { kind: "reject" }),
    rule(chains.prerouting, jump(chains.services)),
    rule(chains.output, jump(chains.services)),
    rule(chains.postrouting, ctStatus(ctBits.dnat), inSet([saddr, daddr], hairpin), { kind: "masquerade" }),
    rule(chains.postrouting, hasMark(0x4000), clearMarkBits(0x4000), {
      kind: "masquerade",
      fullyRandom: true,
    }),
    rule(chains.forward, isConnected, { kind: "counter" }, goTo(chains.mark)),
    rule(chains.forward, match(metaFields.oifname, interfaceName("eth0")), {
      kind: "log",
      prefix: "out ",
      group: 3,
    }),
  ];

  const endpoint = (n: number) => concat(bytes(`10.244.1.${n}`, `fd00:10:244:1::${n}`), networkU16(8080));
  const virtual = concat(bytes("10.96.0.10", "fd00:10:96::a"), Uint8Array.of(17), networkU16(53));
  const elements: { set: NftSet; elements: Element[] }[] = [
    {
      set: endpoints,
      elements: [0, 1].map((index) => ({
        key: concat(virtual, hostU32(index)),
        data: endpoint(index + 1),
        origin: { kind: "Service", name: `index-${index}` },
      })),
    },
    {
      set: services,
      elements: [
        {
          key: virtual,
          data: { kind: "goto", chain: "pick-2" },
          comment: "kube-system/kube-dns:dns",
          origin: { kind: "Service", name: "kube-dns" },
        },
      ],
    },
    {
      set: hairpin,
      elements: [
        {
          key: concat(bytes("10.244.1.1", "fd00::1"), bytes("10.244.1.1", "fd00::1")),
        },
      ],
    },
  ];

  const load = new Transaction().addTable(table);
  for (const set of Object.values(sets)) load.addSet(set);
  for (const value of Object.values(chains)) load.addChain(value);
  for (const value of rules) load.addRule(value);
  for (const { set, elements: list } of elements) load.addElements(set, list);
  return { table, sets, chains, rules, elements, load, endpoint, virtual };
}
