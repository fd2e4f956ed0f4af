/** Options of `kedge start`. */

import type { Values } from "../args.ts";

/** See the module comment. */
export const START_OPTIONS = {
  data: {
    kind: "text",
    value: "DIR",
    fallback: "./kedge-data",
    help: "where everything is kept",
  },
  listen: {
    kind: "text",
    value: "HOST:PORT",
    help:
      "address of the tracker; agents take the next free ports; port 0: any (default 127.0.0.1:8080, or as last time)",
  },
  advertise: {
    kind: "text",
    value: "HOST",
    help: "host in URLs, when --listen is every interface (0.0.0.0)",
  },
  groups: { kind: "text", value: "N", help: "number of groups (default 1)" },
  replicas: {
    kind: "text",
    value: "N",
    help: "agents per group (default 2)",
  },
  level: {
    kind: "text",
    value: "LEVEL",
    choices: ["A", "B", "C"],
    help:
      "A: answered when one node has it, B: all, C: durable on all (default B)",
  },
  access: {
    kind: "text",
    value: "MODE",
    choices: ["open", "key"],
    help:
      "open: callers on this machine need no key (default on loopback, or as last time)",
  },
  tls: {
    kind: "flag",
    help:
      "HTTPS, with a local authority made in DATA/tls; later starts do so by themselves",
  },
  "tls-cert": {
    kind: "text",
    value: "FILE",
    help: "HTTPS with this chain, and so later",
  },
  "tls-key": { kind: "text", value: "FILE", help: "private key of --tls-cert" },
  fastdfs: {
    kind: "flag",
    help:
      "speak FastDFS's protocol as well, and print a client.conf; later starts do so by themselves",
  },
  "fastdfs-listen": {
    kind: "text",
    value: "IP",
    help:
      "address of its tracker (port 22122); agents take the next ones, port 23000; off: no longer (default 127.0.10.1, or as last time)",
  },
  nginx: {
    kind: "flag",
    help:
      'let nginx serve the files: see "kedge nginx-config"; later starts do so by themselves',
  },
  "no-nginx": { kind: "flag", help: "no longer let nginx serve the files" },
  "rebuild-kv": {
    kind: "flag",
    help:
      "DATA/tracker was lost: make a new one from what the nodes know; no file is lost",
  },
} as const;

/** What stood on the command line. */
export type StartValues = Values<typeof START_OPTIONS> & {
  readonly json: boolean;
};
