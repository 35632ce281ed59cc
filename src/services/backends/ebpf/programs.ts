import {
  alu,
  call,
  exit,
  goto,
  type Hook,
  label,
  load,
  mov,
  type Register,
  reg,
  type Statement,
  store,
  when,
} from "#kernel/bpf/index.ts";
import { CTX, FP, FRAME, HELPER, lookUp, moved, movedAddress, SCRATCH, socketKey, update, withKey } from "./frame.ts";
import { ADDRESS, AFFINITY, AFFINITY_KEY, ENDPOINT_KEY, MEMBER_KEY, SERVICE } from "./records.ts";

/** struct bpf_sock_addr, in bytes. */
const CONTEXT = { ip4: 4, ip6: 8, port: 24, protocol: 36 } as const;
const TCP = 6;
const UDP = 17;
const NS_PER_SECOND = 1_000_000_000;
/** ::ffff:0:0/96: the third word of an IPv4 address, as the machine reads it. */
const MAPPED = -65_536;

/** What registers hold of the service's entry. */
const LIST = 7;
const COUNT = 8;
const AFFINITY_SECONDS = 9;

/**
 * The program of a hook.
 *
 * `connect` and `sendmsg` put an endpoint in place of a Service's address; whatever they do not find goes on as it is, and
 * is the rules' business. `recvmsg` and `getpeername` put the Service's address in place of the endpoint.
 */
export function programFor(hook: Hook): readonly Statement[] {
  const family = hook.endsWith("4") ? 4 : 6;
  const pass = [label("pass"), mov(0, 1), exit()];
  if (hook.startsWith("recvmsg") || hook.startsWith("getpeername"))
    return [...start(family), ...reverse(family, hook.startsWith("recvmsg")), ...pass];
  const isSend = hook.startsWith("sendmsg");
  return [
    ...start(family),
    ...lookUpService("other"),
    ...(isSend ? sameFlow() : []),
    ...sameClient(),
    ...choose(),
    ...remember(isSend),
    ...translate(family, isSend),
    goto("pass"),
    ...other(isSend),
    ...pass,
  ];
}

/** The asked address, from the context. */
function start(family: 4 | 6): Statement[] {
  const at = FRAME.asked;
  const ip =
    family === 4
      ? [store(8, FP, at, 0), store(4, FP, at + 8, MAPPED), ...moved(4, [FP, at + 12], [CTX, CONTEXT.ip4])]
      : [0, 4, 8, 12].flatMap((n) => moved(4, [FP, at + n], [CTX, CONTEXT.ip6 + n]));
  return [
    mov(CTX, reg(1)),
    ...ip,
    load(4, SCRATCH, CTX, CONTEXT.port),
    store(2, FP, at + ADDRESS.port, reg(SCRATCH)),
    load(4, SCRATCH, CTX, CONTEXT.protocol),
    store(1, FP, at + ADDRESS.protocol, reg(SCRATCH)),
    store(1, FP, at + ADDRESS.zero, 0),
  ];
}

/** The service's entry into registers. */
function lookUpService(otherwise: string): Statement[] {
  return [
    ...lookUp("services", FRAME.asked),
    when("eq", 0, 0, otherwise),
    load(4, LIST, 0, SERVICE.list),
    load(4, COUNT, 0, SERVICE.count),
    load(4, AFFINITY_SECONDS, 0, SERVICE.affinity),
  ];
}

/** Datagrams of a socket to one address stay with one endpoint for as long as it serves. */
function sameFlow(): Statement[] {
  return [
    ...socketKey(FRAME.asked),
    ...lookUp("flows", FRAME.socket),
    when("eq", 0, 0, "new flow"),
    ...movedAddress([FP, FRAME.target], [0, 0]),
    ...lookUpMember(),
    when("ne", 0, 0, "translate"),
    label("new flow"),
  ];
}

/** ClientIP affinity: a network namespace stays with its endpoint, until the time is over or the endpoint is not chosen. */
function sameClient(): Statement[] {
  const { client, remembered, target } = FRAME;
  return [
    when("eq", AFFINITY_SECONDS, 0, "choose"),
    mov(1, reg(CTX)),
    call(HELPER.netnsCookie),
    store(8, FP, client + AFFINITY_KEY.netns, reg(0)),
    store(4, FP, client + AFFINITY_KEY.list, reg(LIST)),
    store(4, FP, client + AFFINITY_KEY.zero, 0),
    ...lookUp("affinity", client),
    when("eq", 0, 0, "choose"),
    ...movedAddress([FP, target], [0, AFFINITY.address]),
    load(8, SCRATCH, 0, AFFINITY.at),
    store(8, FP, remembered + AFFINITY.at, reg(SCRATCH)),
    call(HELPER.now),
    load(8, SCRATCH, FP, remembered + AFFINITY.at),
    alu("sub", 0, reg(SCRATCH)),
    mov(SCRATCH, reg(AFFINITY_SECONDS)),
    alu("mul", SCRATCH, NS_PER_SECOND),
    when("gt", 0, reg(SCRATCH), "choose"),
    ...lookUpMember(),
    when("eq", 0, 0, "choose"),
    load(4, SCRATCH, 0, 0),
    when("ne", SCRATCH, 0, "keep"),
  ];
}

/** One of the endpoints. A list that became shorter meanwhile is looked up once more. */
function choose(): Statement[] {
  const one = (otherwise: string) => [
    call(HELPER.random),
    alu("mod", 0, reg(COUNT)),
    store(4, FP, FRAME.endpoint + ENDPOINT_KEY.list, reg(LIST)),
    store(4, FP, FRAME.endpoint + ENDPOINT_KEY.index, reg(0)),
    ...lookUp("endpoints", FRAME.endpoint),
    when("eq", 0, 0, otherwise),
    ...movedAddress([FP, FRAME.target], [0, 0]),
  ];
  return [
    label("choose"),
    ...one("again"),
    goto("keep"),
    label("again"),
    ...lookUp("services", FRAME.asked),
    when("eq", 0, 0, "pass"),
    load(4, SCRATCH, 0, SERVICE.list),
    // Another list would need the affinity's key anew: so rare that the rules may have it.
    when("ne", SCRATCH, reg(LIST), "pass"),
    load(4, COUNT, 0, SERVICE.count),
    ...one("pass"),
  ];
}

/** The choice, for who comes back. */
function remember(isSend: boolean): Statement[] {
  const { client, remembered, target, socket } = FRAME;
  return [
    label("keep"),
    when("eq", AFFINITY_SECONDS, 0, "kept"),
    call(HELPER.now),
    store(8, FP, remembered + AFFINITY.at, reg(0)),
    ...movedAddress([FP, remembered + AFFINITY.address], [FP, target]),
    store(4, FP, remembered + AFFINITY.zero, 0),
    ...update("affinity", client, remembered),
    label("kept"),
    ...(isSend ? [...socketKey(FRAME.asked), ...update("flows", socket, target)] : []),
  ];
}

/** The endpoint into the context, and what it stands for into the map that answers come back by. */
function translate(family: 4 | 6, isSend: boolean): Statement[] {
  const { asked, socket } = FRAME;
  const toReplies = update("replies", socket, asked);
  const toPeers = [
    load(1, SCRATCH, FP, asked + ADDRESS.protocol),
    when("ne", SCRATCH, TCP, "datagrams"),
    ...update("peers", socket, asked),
    goto("write"),
    label("datagrams"),
    ...toReplies,
    label("write"),
  ];
  return [
    label("translate"),
    ...socketKey(FRAME.target),
    ...(isSend ? toReplies : toPeers),
    ...written(family, FP, FRAME.target),
  ];
}

/** No Service's address: what a UDP socket gets from there is no Service's answer any more. */
function other(isSend: boolean): Statement[] {
  return [
    label("other"),
    ...(isSend ? [] : [load(1, SCRATCH, FP, FRAME.asked + ADDRESS.protocol), when("ne", SCRATCH, UDP, "pass")]),
    ...socketKey(FRAME.asked),
    ...withKey("replies", FRAME.socket),
    call(HELPER.delete),
  ];
}

/** The Service's address in place of the endpoint. */
function reverse(family: 4 | 6, isReceive: boolean): Statement[] {
  const { asked, socket } = FRAME;
  const find = [
    load(1, SCRATCH, FP, asked + ADDRESS.protocol),
    when("ne", SCRATCH, TCP, "datagrams"),
    ...lookUp("peers", socket),
    goto("found"),
    label("datagrams"),
    ...lookUp("replies", socket),
    label("found"),
  ];
  return [
    ...socketKey(asked),
    ...(isReceive ? lookUp("replies", socket) : find),
    when("eq", 0, 0, "pass"),
    ...written(family, 0, 0),
  ];
}

/** An address record into the context. */
function written(family: 4 | 6, base: Register, at: number): Statement[] {
  const ip =
    family === 4
      ? moved(4, [CTX, CONTEXT.ip4], [base, at + 12])
      : [0, 4, 8, 12].flatMap((n) => moved(4, [CTX, CONTEXT.ip6 + n], [base, at + n]));
  return [...ip, load(2, SCRATCH, base, at + ADDRESS.port), store(4, CTX, CONTEXT.port, reg(SCRATCH))];
}

function lookUpMember(): Statement[] {
  return [
    store(4, FP, FRAME.member + MEMBER_KEY.list, reg(LIST)),
    ...movedAddress([FP, FRAME.member + MEMBER_KEY.address], [FP, FRAME.target]),
    ...lookUp("members", FRAME.member),
  ];
}
