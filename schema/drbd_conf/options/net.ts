/**
 * Options of `net { … }`. Ranges, units and defaults: `drbdsetup xml-help
 * net-options` and `connect` of 8.4, `net-options` of 9.34; where they differ,
 * the wider range.
 *
 * @module
 */

import { boolean, choice, number, table, text } from "./row.ts";

/** Longest shared secret, in characters (9.34 takes 63). */
export const SHARED_SECRET_CHARS_MAX = 64;

/** Who loses after a split brain when nobody is Primary. The first is the default. */
export const AFTER_SB_0PRI = [
  "disconnect",
  "discard-younger-primary",
  "discard-older-primary",
  "discard-zero-changes",
  "discard-least-changes",
  "discard-local",
  "discard-remote",
] as const;

/** Who loses after a split brain when one side is Primary. The first is the default. */
export const AFTER_SB_1PRI = [
  "disconnect",
  "consensus",
  "discard-secondary",
  "call-pri-lost-after-sb",
  "violently-as0p",
] as const;

/** Who loses after a split brain when both sides are Primary. The first is the default. */
export const AFTER_SB_2PRI = [
  "disconnect",
  "call-pri-lost-after-sb",
  "violently-as0p",
] as const;

/** What happens when a Primary would have to be overwritten. The first is the default. */
export const RR_CONFLICT = [
  "disconnect",
  "call-pri-lost",
  "violently",
  "retry-connect",
  "auto-discard",
] as const;

/** What happens when the send buffer is full (protocol A). The first is the default. */
export const ON_CONGESTION = ["block", "pull-ahead", "disconnect"] as const;

/** What a Primary does when it loses its peer. The first is the default. */
export const FENCING_POLICIES = [
  "dont-care",
  "resource-only",
  "resource-and-stonith",
] as const;

/** When a write is complete. The first is the default. */
export const PROTOCOLS = ["C", "A", "B"] as const;

/** `fencing`: in `disk` up to 8.4, in `net` since 9. */
export const FENCING = choice("fencing", FENCING_POLICIES);

/** Options of `net { … }`. */
export const NET_OPTIONS = table(
  { ...choice("protocol", PROTOCOLS), isCheckedLate: false },
  FENCING,
  // Tenths of a second.
  number("timeout", [1, 600, 60]),
  number("ping-timeout", [1, 300, 5]),
  number("socket-check-timeout", [0, 300, 0], { isCheckedLate: true }),
  // Seconds.
  number("connect-int", [1, 120, 10]),
  number("ping-int", [1, 120, 10]),
  // Counts.
  number("max-epoch-size", [1, 20_000, 2048]),
  number("max-buffers", [32, 131_072, 2048]),
  number("unplug-watermark", [1, 131_072, 128], { isCheckedLate: true }),
  number("ko-count", [0, 200, 7]),
  number("congestion-extents", [67, 65_534, 1237]),
  // Bytes; the send buffer may be 10 MiB in 8.4.
  number("sndbuf-size", [0, 134_217_728, 0]),
  number("rcvbuf-size", [0, 134_217_728, 0]),
  number("rdma-ctrl-sndbuf-size", [0, 10_485_760, 0]),
  number("rdma-ctrl-rcvbuf-size", [0, 10_485_760, 0]),
  number("congestion-fill", [0, 20_971_520, 0], { unit: "s" }),
  boolean("allow-two-primaries", false),
  boolean("always-asbp", false),
  boolean("tcp-cork", true),
  boolean("csums-after-crash-only", false),
  boolean("use-rle", true),
  boolean("allow-remote-read", true),
  boolean("tls", false),
  boolean("load-balance-paths", false),
  choice("after-sb-0pri", AFTER_SB_0PRI),
  choice("after-sb-1pri", AFTER_SB_1PRI),
  choice("after-sb-2pri", AFTER_SB_2PRI),
  choice("rr-conflict", RR_CONFLICT),
  choice("on-congestion", ON_CONGESTION),
  text("cram-hmac-alg", 63),
  text("shared-secret", SHARED_SECRET_CHARS_MAX),
  text("data-integrity-alg", 63),
  text("csums-alg", 63),
  text("verify-alg", 63),
  text("transport", 63),
  text("tls-keyring", 63),
  text("tls-privkey", 63),
  text("tls-certificate", 63),
);
