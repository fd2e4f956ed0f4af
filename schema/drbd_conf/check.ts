/**
 * Rules between sections: what is missing, what is used twice, and what only
 * the running system would refuse.
 *
 * Errors are what both DRBD 8.4 and 9 refuse; what one of them takes, or what
 * only the kernel refuses, is a warning.
 *
 * @module
 */

import type { DrbdConf, ResourceSection } from "./ast.ts";
import { checkHosts } from "./check_hosts.ts";
import { checkOptions } from "./check_options.ts";
import { checkUses } from "./check_uses.ts";
import type { WarningList } from "./parser_context.ts";

/** What a check may look at, and where it puts warnings. */
export interface CheckContext {
  /** The whole configuration. */
  readonly conf: DrbdConf;
  /** Receives warnings. */
  readonly warnings: WarningList;
}

/** Refuses a configuration, or adds warnings to it. */
export function checkConf(conf: DrbdConf, warnings: WarningList): void {
  const context = { conf, warnings };
  for (const resource of conf.resources) {
    checkName(context, resource);
    checkHosts(context, resource);
  }
  checkUses(context);
  checkOptions(context);
}

function checkName({ warnings }: CheckContext, resource: ResourceSection) {
  if (resource.name !== "all") return;
  warnings.add("reserved-name", {
    ...resource,
    text: "in resource all: commands take 'all' for every resource",
  }, { resource: resource.name });
}
