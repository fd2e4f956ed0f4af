/**
 * Options of `global { … }` and `proxy { … }`.
 *
 * @module
 */

import { choice, number, table, text } from "./row.ts";

/** Options of `global { … }`, as they are printed. Timeouts in seconds. */
export const GLOBAL_OPTIONS = table(
  { kind: "flag", name: "disable-ip-verification" },
  number("minor-count", [1, 255, 32]),
  number("dialog-refresh", [0, 600, 1]),
  { ...choice("usage-count", ["ask", "yes", "no"]), isCheckedLate: false },
  number("cmd-timeout-short", [0, 900, 5]),
  number("cmd-timeout-medium", [0, 900, 121]),
  number("cmd-timeout-long", [0, 900, 600]),
  { kind: "flag", name: "udev-always-use-vnr" },
);

/** Options of `proxy { … }` at a resource; Kedge has no such proxy. */
export const PROXY_OPTIONS = table(
  text("memlimit"),
  text("read-loops"),
  text("compression"),
  text("bwlimit"),
);
