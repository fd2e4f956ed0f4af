/**
 * Options that are understood and printed, and do nothing here: why, and what
 * happens instead. Setting one to something else than its default is a warning;
 * `docs/reference/drbd-conf-no-effect.md` is this table.
 *
 * @module
 */

import type { SectionName } from "./aliases.ts";

/** Options of a section with the reason. */
type Reasons = Readonly<Record<string, string>>;

const KERNEL = "it is about DRBD's kernel module";
const MESH = "it is about DRBD 9 with more than two nodes";
const QUORUM = "quorum is not available yet";
const RDMA = "there is only tcp";
const TLS =
  "the connection is not encrypted: use a network of its own, or a tunnel";
const ORDER =
  "write order is kept by flushes on both disks, by nothing weaker or else";

/** By section and name. */
export const NO_EFFECT: Readonly<Partial<Record<SectionName, Reasons>>> = {
  net: {
    "allow-two-primaries":
      "dual-primary is not available yet: a second Primary will be refused",
    "socket-check-timeout":
      "a new connection has a fixed time to say who it is",
    "unplug-watermark": KERNEL,
    "sndbuf-size": "the system sizes its buffers; up to 4 MiB wait before them",
    "rcvbuf-size": "the system sizes its buffers",
    "rdma-ctrl-sndbuf-size": RDMA,
    "rdma-ctrl-rcvbuf-size": RDMA,
    "tcp-cork": "frames are collected here; the socket never waits for more",
    "use-rle": "bitmaps travel as they are",
    "allow-remote-read":
      "without good data of its own a node reads from the peer",
    "load-balance-paths": "there is one connection",
    "tls": TLS,
    "tls-keyring": TLS,
    "tls-privkey": TLS,
    "tls-certificate": TLS,
    "transport": RDMA,
  },
  disk: {
    "disk-barrier": ORDER,
    "disk-flushes":
      `a flush of the application always reaches both disks (protocol C); ${ORDER}`,
    "disk-drain": ORDER,
    "md-flushes": "metadata is always flushed",
    "al-updates":
      "the activity log is always written: without it a crash costs a full resync",
    "discard-zeroes-if-aligned":
      "a discard makes zeroes on both nodes, or where the disk cannot, nothing",
    "disable-write-same": KERNEL,
    "diskless": MESH,
    "rs-discard-granularity": "a resync copies zeroes as data",
    "max-bio-size": KERNEL,
    "block-size": "the export takes requests of any length",
    "discard-granularity": "the export takes discards of any length",
    "max-bio-bvecs": KERNEL,
    "read-balancing":
      "reads are local while the own disk is good, and remote otherwise",
    "bitmap": "a bitmap is always kept",
    "resync-without-replication": MESH,
    "peer-tiebreaker": QUORUM,
  },
  options: {
    "cpu-mask": KERNEL,
    "auto-promote": 'a node is promoted by "drbdadm primary" only',
    "auto-promote-timeout": 'a node is promoted by "drbdadm primary" only',
    "peer-ack-window": MESH,
    "peer-ack-delay": MESH,
    "twopc-timeout": MESH,
    "twopc-retry-timeout": MESH,
    "max-io-depth": KERNEL,
    "quorum": QUORUM,
    "quorum-minimum-redundancy": QUORUM,
    "on-no-quorum": QUORUM,
    "on-suspended-primary-outdated": QUORUM,
    "drbd8-api-compatibility": KERNEL,
  },
  startup: {
    "become-primary-on":
      'nothing is promoted at start: say "drbdadm primary" in a unit of yours',
    "stacked-timeouts": "stacked resources are not available",
  },
  handlers: {
    "quorum-lost": QUORUM,
    "disconnected": "it is never called",
  },
};
