/** Network namespaces: making, entering, pinning; sysctls and sockets inside them. */
export {
  currentNetns,
  inNetns,
  isPinned,
  type Netns,
  newNetns,
  openNetns,
  pinNetns,
  setOwnSysctls,
  setSysctl,
  setSysctls,
  sysctlPath,
  unpinNetns,
} from "./netns.ts";
export {
  connectedTcp,
  connectTcp,
  listenTcp,
  localPort,
  type SocketPlace,
  socketAddress,
  udpSocket,
  warmThreadPool,
} from "./sockets.ts";
export {
  type Endpoint,
  impersonatingUdp,
  listenTransparentTcp,
  receiveStray,
  type StrayDatagram,
  transparentUdp,
} from "./transparent.ts";
