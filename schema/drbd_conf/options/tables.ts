/**
 * The table of each option section.
 *
 * @module
 */

import type { SectionName } from "./aliases.ts";
import { DISK_OPTIONS } from "./disk.ts";
import { NET_OPTIONS } from "./net.ts";
import {
  HANDLER_OPTIONS,
  RESOURCE_OPTIONS,
  STARTUP_OPTIONS,
} from "./resource.ts";
import type { OptionTable } from "./row.ts";

/** Options by section. */
export const TABLES: Readonly<Record<SectionName, OptionTable>> = {
  net: NET_OPTIONS,
  disk: DISK_OPTIONS,
  options: RESOURCE_OPTIONS,
  startup: STARTUP_OPTIONS,
  handlers: HANDLER_OPTIONS,
};
