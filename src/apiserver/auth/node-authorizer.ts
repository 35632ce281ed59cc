import type { User } from "../kinds/definition.ts";
import type { Attributes, Authorizer, Decision } from "./attributes.ts";
import { nodeRules } from "./default-roles.ts";
import type { NodeGraph } from "./node-graph.ts";
import { ruleAllows } from "./rules.ts";

const allow: Decision = { allowed: true, reason: "" };
const no = (reason = ""): Decision => ({ allowed: false, reason });

/** The node that a user is: `system:node:<name>` in group system:nodes; empty name for a node without one. */
export function nodeOf(user: User): string | undefined {
  if (!user.groups.includes("system:nodes")) return undefined;
  return user.name.startsWith("system:node:") ? user.name.slice("system:node:".length) : undefined;
}

/**
 * What the agent of a node may do: with its own node and what its pods use; nobody else's
 * (kubernetes.io/docs/reference/access-authn-authz/node). What it writes is looked at by NodeRestriction.
 */
export class NodeAuthorizer implements Authorizer {
  readonly #graph: NodeGraph;

  constructor(graph: NodeGraph) {
    this.#graph = graph;
  }

  decide(user: User, wanted: Attributes): Decision {
    const node = nodeOf(user);
    if (node === undefined) return no();
    if (node === "") return no(`unknown node for user "${user.name}"`);
    switch (wanted.group ? `${wanted.resource}.${wanted.group}` : wanted.resource) {
      case "secrets":
      case "configmaps":
        return this.#read(node, wanted);
      case "persistentvolumeclaims":
        return wanted.subresource === "status" ? this.#claimStatus(node, wanted) : this.#get(node, wanted);
      case "persistentvolumes":
        return this.#get(node, wanted);
      case "serviceaccounts":
        return this.#account(node, wanted);
      case "leases.coordination.k8s.io":
        return ownObject(node, wanted, "a node lease", "node lease", "kube-node-lease");
      case "csinodes.storage.k8s.io":
        return ownObject(node, wanted, "a CSINode", "CSINode", undefined);
      case "nodes":
        return ownNode(node, wanted);
      case "pods":
        return this.#pod(node, wanted);
      default:
        return nodeRules.some((rule) => ruleAllows(rule, wanted)) ? allow : no();
    }
  }

  /** Reading of one secret or configmap. */
  #read(node: string, wanted: Attributes): Decision {
    if (!["get", "list", "watch"].includes(wanted.verb)) return no("can only read resources of this type");
    if (wanted.subresource) return no("cannot read subresource");
    if (!wanted.namespace) return no("can only read namespaced object of this type");
    return this.#related(node, wanted);
  }

  #get(node: string, wanted: Attributes): Decision {
    if (wanted.verb !== "get") return no("can only get individual resources of this type");
    if (wanted.subresource) return no("cannot get subresource");
    return this.#related(node, wanted);
  }

  #claimStatus(node: string, wanted: Attributes): Decision {
    if (wanted.verb !== "update" && wanted.verb !== "patch") return no("can only get/update/patch this type");
    return this.#related(node, wanted);
  }

  #account(node: string, wanted: Attributes): Decision {
    if (wanted.verb === "get" && wanted.subresource === "") return this.#related(node, wanted);
    if (wanted.verb !== "create" || !wanted.name) return no("can only create tokens for individual service accounts");
    if (wanted.subresource !== "token") return no("can only create token subresource of serviceaccount");
    return this.#related(node, wanted);
  }

  #pod(node: string, wanted: Attributes): Decision {
    switch (`${wanted.verb} ${wanted.subresource}`) {
      case "get ":
        return this.#related(node, wanted);
      case "list ":
      case "watch ":
        if (wanted.fields?.["spec.nodeName"] === node) return allow;
        if (wanted.name) return this.#related(node, wanted);
        return no("can only list/watch pods with spec.nodeName field selector");
      case "create ":
      case "delete ":
      case "update status":
      case "patch status":
      case "create eviction":
        return allow;
      default:
        return no();
    }
  }

  #related(node: string, { resource, namespace, name }: Attributes): Decision {
    if (!name) return no("No Object name found");
    const found =
      resource === "persistentvolumes"
        ? this.#graph.relatedVolume(node, name)
        : this.#graph.related(node, resource, namespace, name);
    return found ? allow : no(`no relationship found between node '${node}' and this object`);
  }
}

/** An object of which each node has one, with the node's name. Who creates it is looked at when its name is known. */
function ownObject(node: string, wanted: Attributes, a: string, what: string, namespace: string | undefined): Decision {
  if (!["get", "create", "update", "patch", "delete"].includes(wanted.verb))
    return no(`can only get, create, update, patch, or delete ${a}`);
  if (namespace !== undefined && wanted.namespace !== namespace)
    return no(`can only access leases in the "${namespace}" system namespace`);
  if (namespace === undefined && wanted.subresource) return no(`cannot authorize ${what} subresources`);
  if (wanted.verb !== "create" && wanted.name !== node)
    return no(`can only access ${what} with the same name as the requesting node`);
  return allow;
}

function ownNode(node: string, { verb, subresource, name }: Attributes): Decision {
  if (subresource === "status") return verb === "update" || verb === "patch" ? allow : no();
  if (subresource !== "") return no();
  if (["create", "update", "patch"].includes(verb)) return allow;
  if (!["get", "list", "watch"].includes(verb)) return no();
  if (name === node) return allow;
  if (name === "") return no(`node '${node}' cannot read all nodes, only its own Node object`);
  return no(`node '${node}' cannot read '${name}', only its own Node object`);
}
