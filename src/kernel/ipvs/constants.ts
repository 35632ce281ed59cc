/** Commands of the family "IPVS" (include/uapi/linux/ip_vs.h). */
export const IPVS_CMD = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  SET_CONFIG: 12,
} as const;

/** Attributes of commands (the same header). */
export const CMD_ATTR = { SERVICE: 1, DEST: 2, TIMEOUT_TCP: 4, TIMEOUT_TCP_FIN: 5, TIMEOUT_UDP: 6 } as const;

/** Attributes of a virtual server, inside CMD_ATTR.SERVICE. */
export const SVC_ATTR = {
  AF: 1,
  PROTOCOL: 2,
  ADDR: 3,
  PORT: 4,
  FWMARK: 5,
  SCHED_NAME: 6,
  FLAGS: 7,
  TIMEOUT: 8,
  NETMASK: 9,
} as const;

/** Attributes of a real server, inside CMD_ATTR.DEST. */
export const DEST_ATTR = {
  ADDR: 1,
  PORT: 2,
  FWD_METHOD: 3,
  WEIGHT: 4,
  U_THRESH: 5,
  L_THRESH: 6,
  ACTIVE_CONNS: 7,
  INACT_CONNS: 8,
  ADDR_FAMILY: 11,
} as const;

/** Flags of a virtual server. HASHED is the kernel's own. */
export const SVC_F = { PERSISTENT: 0x1, HASHED: 0x2, SCHED_PORT: 0x10 } as const;

/** Way to a real server: NAT (IP_VS_CONN_F_MASQ). */
export const FORWARD_MASQ = 0;

/** Address families as they appear in messages (include/linux/socket.h). */
export const AF = { 4: 2, 6: 10 } as const;

/** Of generic netlink (include/uapi/linux/genetlink.h): the family of families, and how it is asked. */
export const GENL = { CTRL: 16, GETFAMILY: 3, FAMILY_ID: 1, FAMILY_NAME: 2 } as const;
