import { PodwireError } from "#base/errors.ts";
import { cidrBase, cidrContains, cidrLast, formatCidr, formatIp, ipEquals, parseIp, parseNetwork } from "#base/ip.ts";

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const ALLOWED_NAME = 'lower-case letters, digits and "-", at most 63';
const MAX_DOMAIN = 200;
/** Names that mean something else on every machine. */
const TAKEN_NAMES: Readonly<Record<string, string>> = {
  router: "the name of the lab's router",
  localhost: "every machine's name for itself",
};

/** A refusal of a configuration. @param fields keys that it is about, for whoever knows the line of each */
export function refuse(message: string, ...fields: readonly string[]): PodwireError {
  return new PodwireError("InvalidConfig", message, { fields });
}

/** Refuses what cannot be a cluster's name. It becomes a folder's. @throws PodwireError "InvalidConfig" */
export function checkName(name: string): void {
  if (!NAME.test(name)) throw refuse(`name: found "${name}"; allowed are ${ALLOWED_NAME}`, "name");
}

/** Refuses what cannot be a node's name. @throws PodwireError "InvalidConfig" */
export function checkNodeName(field: string, name: string): void {
  if (!NAME.test(name)) throw refuse(`${field}: found "${name}"; allowed are ${ALLOWED_NAME}`, "nodes");
  const taken = TAKEN_NAMES[name];
  if (taken) throw refuse(`${field}: "${name}" is ${taken}`, "nodes");
}

/** Refuses what cannot be a DNS domain (RFC 1123). @throws PodwireError "InvalidConfig" */
export function checkDomain(domain: string): void {
  if (domain.length <= MAX_DOMAIN && domain.split(".").every((label) => NAME.test(label))) return;
  const allowed = `labels of ${ALLOWED_NAME}, with dots between them`;
  throw refuse(`clusterDomain: found "${domain}"; allowed are ${allowed}`, "clusterDomain");
}

/** Refuses what is no port. @throws PodwireError "InvalidConfig" */
export function checkPort(field: string, port: number | undefined): void {
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535))
    throw refuse(`${field}: found ${port}; allowed is 1 to 65535`, field);
}

/**
 * Refuses a node's address that is none, is not in the node network or is somebody else's, and notes it.
 * @param taken who has which address
 * @returns its family
 * @throws PodwireError "InvalidConfig"
 */
export function checkAddress(
  node: string,
  address: string,
  taken: Map<string, string>,
  cidrs: readonly string[],
): 4 | 6 {
  const ip = parsed(node, address);
  const cidr = cidrs.map(parseNetwork).find((candidate) => cidrContains(candidate, ip));
  if (!cidr)
    throw refuse(
      `node ${node}: address ${address} is not in the node network ${cidrs.join(", ")}`,
      "nodes",
      "nodeCidr",
    );
  const ends = [cidrBase(cidr), ...(ip.family === 4 ? [cidrLast(cidr)] : [])];
  if (ends.some((end) => ipEquals(end, ip)))
    throw refuse(`node ${node}: address ${address} is no host of ${formatCidr(cidr)} but its first or last`, "nodes");
  // However it was written.
  const plain = formatIp(ip);
  const other = taken.get(plain);
  if (other === "router") throw refuse(`node ${node}: address ${address} is the router's`, "nodes");
  if (other !== undefined) throw refuse(`nodes ${other} and ${node} both have the address ${address}`, "nodes");
  taken.set(plain, node);
  return ip.family;
}

function parsed(node: string, address: string): ReturnType<typeof parseIp> {
  try {
    return parseIp(address);
  } catch (error) {
    throw refuse(`node ${node}: address: ${(error as Error).message}`, "nodes");
  }
}
