import { describe, expect, it } from "vitest";
import { canonicalRule } from "./canonical.ts";

/** Rules as kube-proxy writes them, and as iptables-save 1.8.9 prints them (both flavours). */
const pairs = [
  [
    '-m comment --comment "shop/web:http cluster IP" -m tcp -p tcp -d 10.96.0.1 --dport 80 -j KUBE-SVC-A',
    '-d 10.96.0.1/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-A',
  ],
  [
    '-m comment --comment "shop/web:http cluster IP" -m sctp -p sctp -d fd00::1 --dport 80 ! -s fd00:1::/64 -j KUBE-MARK-MASQ',
    '! -s fd00:1::/64 -d fd00::1/128 -p sctp -m comment --comment "shop/web:http cluster IP" -m sctp --dport 80 -j KUBE-MARK-MASQ',
  ],
  [
    "-m comment --comment shop/web:http -m tcp -p tcp -j DNAT --to-destination [fd00::1]:8080",
    '-p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination [fd00::1]:8080',
  ],
  ["-m mark ! --mark 0x4000/0x4000 -j RETURN", "-m mark ! --mark 0x4000/0x4000 -j RETURN"],
  ["-j MARK --xor-mark 0x4000", "-j MARK --set-xmark 0x4000/0x0"],
  ["-j MARK --or-mark 0x4000", "-j MARK --set-xmark 0x4000/0x4000"],
  [
    "-m statistic --mode random --probability 0.3333333333 -j KUBE-SEP-A",
    "-m statistic --mode random --probability 0.33333333349 -j KUBE-SEP-A",
  ],
  [
    "-m recent --name KUBE-SEP-A --rcheck --seconds 10800 --reap -j KUBE-SEP-A",
    "-m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-A --mask 255.255.255.255 --rsource -j KUBE-SEP-A",
  ],
  [
    '-m comment --comment "x" -m tcp -p tcp -d fd00::1 --dport 80 -j REJECT',
    '-d fd00::1/128 -p tcp -m comment --comment "x" -m tcp --dport 80 -j REJECT --reject-with icmp6-port-unreachable',
  ],
  [
    '-m comment --comment "shop/web:http loadbalancer IP" -s 0.0.0.0/0 -j KUBE-EXT-A',
    '-m comment --comment "shop/web:http loadbalancer IP" -j KUBE-EXT-A',
  ],
] as const;

describe("rules of iptables-save are compared with ours (part: how they are written)", () => {
  it.each(pairs)("%s", (ours, saved) => {
    expect(canonicalRule(saved)).toBe(canonicalRule(ours));
  });

  it.each([
    ["source and destination", "-s 10.0.0.1/32 -d 10.0.0.2/32 -j A", "-s 10.0.0.2/32 -d 10.0.0.1/32 -j A"],
    ["what is denied", "! -s 10.0.0.1/32 -d 10.0.0.2/32 -j A", "-s 10.0.0.1/32 ! -d 10.0.0.2/32 -j A"],
    ["a network and its first address", "-s 2001:db8::/32 -j A", "-s 2001:db8:: -j A"],
    ["everybody and nobody", "! -s 0.0.0.0/0 -j A", "-j A"],
    ["a match more", "-m socket -p tcp -j A", "-p tcp -j A"],
    ["options in a comment", '-m comment --comment "-s 10.0.0.1 x" -j A', "-m comment --comment x -s 10.0.0.1 -j A"],
    ["a comment's end", '-m comment --comment "a \\" -j B" -j A', '-m comment --comment "a" -j B'],
    ["a probability", "--probability 0.50000000000 -j A", "--probability 0.33333333349 -j A"],
    ["how it refuses", "-j REJECT --reject-with tcp-reset", "-j REJECT"],
  ])("tells apart: %s", (_, one, other) => {
    expect(canonicalRule(one)).not.toBe(canonicalRule(other));
  });
});
