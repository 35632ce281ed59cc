import type { AddLink, Operation, Route, SetLink } from "./model.ts";

/** The command of iproute2 that does the same, with devices by index (`dev #4`): for errors, logs and golden tests. */
export function describeOperation(operation: Operation): string {
  switch (operation.op) {
    case "add-link":
      return addLink(operation);
    case "set-link":
      return setLink(operation);
    case "set-bridge-port":
      return words(
        "bridge link set",
        `dev #${operation.index}`,
        onOff("hairpin", operation.hairpin),
        onOff("isolated", operation.isolated),
      );
    case "add-altname":
      return `ip link property add dev #${operation.index} altname ${operation.altName}`;
    case "delete-link":
      return `ip link delete dev #${operation.index}`;
    case "delete-group":
      return `ip link delete group ${operation.group}`;
    case "add-address":
      return `ip address add ${operation.address} dev #${operation.index}`;
    case "delete-address":
      return `ip address delete ${operation.address} dev #${operation.index}`;
    case "add-route":
      return words(operation.replace ? "ip route replace" : "ip route add", route(operation));
    case "delete-route":
      return words("ip route delete", route(operation));
    case "add-neighbour":
      return `ip neigh replace ${operation.ip} lladdr ${operation.mac} dev #${operation.index} nud ${operation.state ?? "permanent"}${operation.externLearned ? " extern_learn" : ""}`;
    case "delete-neighbour":
      return `ip neigh delete ${operation.ip} dev #${operation.index}`;
    case "add-fdb":
      return `bridge fdb replace ${operation.mac} dev #${operation.index} dst ${operation.dst} self permanent`;
    case "delete-fdb":
      return `bridge fdb delete ${operation.mac} dev #${operation.index} dst ${operation.dst} self`;
  }
}

function words(...parts: (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== "").join(" ");
}

function option(name: string, value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : `${name} ${value}`;
}

function device(name: string, index: number | undefined): string | undefined {
  return index === undefined ? undefined : `${name} #${index}`;
}

function onOff(name: string, value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : `${name} ${value ? "on" : "off"}`;
}

function addLink(link: AddLink): string {
  const { kind } = link;
  const settings = words(
    option("address", link.mac),
    option("mtu", link.mtu),
    option("group", link.group),
    device("master", link.master),
  );
  let type: string = kind.type;
  if (kind.type === "veth") {
    type = words("veth peer name", kind.peer.name, device("index", kind.peer.index), option("netns", kind.peer.netns));
  } else if (kind.type === "vxlan") {
    const learning = kind.learning ? "learning" : "nolearning";
    type = words(
      "vxlan",
      `id ${kind.id}`,
      device("dev", kind.link),
      option("local", kind.local),
      `dstport ${kind.port ?? 8472}`,
      learning,
    );
  }
  return words(
    "ip link add",
    link.name,
    device("index", link.index),
    settings,
    "type",
    type,
    link.up ? "up" : undefined,
  );
}

function setLink(link: SetLink): string {
  const master = link.master === 0 ? "nomaster" : device("master", link.master);
  const up = link.up === undefined ? undefined : link.up ? "up" : "down";
  return words(
    `ip link set dev #${link.index}`,
    option("name", link.name),
    option("address", link.mac),
    option("mtu", link.mtu),
    option("group", link.group),
    master,
    onOff("promisc", link.promiscuous),
    option("netns", link.netns),
    up,
  );
}

function route(r: Route): string {
  return words(
    r.type && r.type !== "unicast" ? r.type : undefined,
    r.dst,
    option("via", r.via),
    device("dev", r.index),
    option("src", r.source),
    option("metric", r.metric),
    option("table", r.table),
    option("proto", r.protocol),
    r.onlink ? "onlink" : undefined,
  );
}
