/** Netlink protocols (include/uapi/linux/netlink.h). */
export const NETLINK = { ROUTE: 0, NETFILTER: 12, GENERIC: 16 } as const;

/** Flags of nlmsghdr (include/uapi/linux/netlink.h). REPLACE, EXCL, CREATE and APPEND qualify NEW requests, ROOT and MATCH GET ones. */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** On an error: the attributes of the extended acknowledgement follow. */
  ACK_TLVS: 0x200,
  /** On an error: the request's payload is not echoed. */
  CAPPED: 0x100,
} as const;

/** Control message types (include/uapi/linux/netlink.h). */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/** Route netlink message types (include/uapi/linux/rtnetlink.h). */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  GETMULTICAST: 58,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  NEWLINKPROP: 108,
  DELLINKPROP: 109,
} as const;

/** Link attributes (include/uapi/linux/if_link.h). */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  PROTINFO: 12,
  TXQLEN: 13,
  OPERSTATE: 16,
  LINKINFO: 18,
  NET_NS_FD: 28,
  GROUP: 27,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  CARRIER: 33,
  PROP_LIST: 52,
  ALT_IFNAME: 53,
} as const;

/** Attributes inside IFLA_LINKINFO and its per-kind data (include/uapi/linux/if_link.h, veth.h). */
export const LINKINFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5, VETH_PEER: 1 } as const;

/** Attributes of a vxlan device (include/uapi/linux/if_link.h). */
export const VXLAN = { ID: 1, LINK: 3, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17 } as const;

/** Attributes of a bridge and of a bridge port (include/uapi/linux/if_link.h). */
export const BRIDGE = {
  STP_STATE: 5,
  VLAN_FILTERING: 7,
  PORT_STATE: 1,
  PORT_HAIRPIN: 4,
  PORT_LEARNING: 8,
  PORT_ISOLATED: 33,
} as const;

/** Flags of a device (include/uapi/linux/if.h). */
export const IFF = { UP: 0x1, LOOPBACK: 0x8, RUNNING: 0x40, NOARP: 0x80, PROMISC: 0x100, LOWER_UP: 0x10000 } as const;

/** Address attributes and flags (include/uapi/linux/if_addr.h). */
export const IFA = {
  ADDRESS: 1,
  LOCAL: 2,
  BROADCAST: 4,
  MULTICAST: 7,
  FLAGS: 8,
  F_NODAD: 0x2,
  F_NOPREFIXROUTE: 0x200,
} as const;

/** Route attributes, flags and well-known values (include/uapi/linux/rtnetlink.h). */
export const RT = {
  A_DST: 1,
  A_OIF: 4,
  A_GATEWAY: 5,
  A_PRIORITY: 6,
  A_PREFSRC: 7,
  A_TABLE: 15,
  TABLE_MAIN: 254,
  TABLE_LOCAL: 255,
  SCOPE_UNIVERSE: 0,
  SCOPE_LINK: 253,
  SCOPE_HOST: 254,
  SCOPE_NOWHERE: 255,
  F_ONLINK: 0x4,
  F_CLONED: 0x200,
} as const;

/** Neighbour attributes, states and flags (include/uapi/linux/neighbour.h). */
export const ND = {
  A_DST: 1,
  A_LLADDR: 2,
  A_VLAN: 5,
  A_MASTER: 9,
  F_SELF: 0x2,
  F_MASTER: 0x4,
  F_PROXY: 0x8,
  F_EXT_LEARNED: 0x10,
} as const;

/** Address families as they appear in messages (include/linux/socket.h). */
export const FAMILY = { UNSPEC: 0, INET: 2, BRIDGE: 7, INET6: 10 } as const;

/** Flag of attribute types: the payload is a list of attributes. */
export const NLA_F_NESTED = 0x8000;

/** Socket level and options of netlink sockets (include/linux/socket.h, uapi/linux/netlink.h). */
export const SOL_NETLINK = { LEVEL: 270, ADD_MEMBERSHIP: 1, CAP_ACK: 10, EXT_ACK: 11, GET_STRICT_CHK: 12 } as const;

/**
 * The protocol number of every route that Podwire makes (rtm_protocol; values above 4 are free for programs,
 * include/uapi/linux/rtnetlink.h). A fresh process finds its own routes by it.
 */
export const ROUTE_PROTOCOL_PODWIRE = 0x70;
