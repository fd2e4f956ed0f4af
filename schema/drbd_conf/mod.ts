/**
 * drbd.conf: parse, check, print, and resolve to what a mirror needs.
 *
 * @module
 */

export * from "./ast.ts";
export {
  CONFIG_ERROR_EXIT,
  type ConfWarning,
  type Finding,
  formatFinding,
  ParseError,
  type Place,
  type WarningCode,
} from "./errors.ts";
export {
  type ConfFile,
  parseDrbdConf,
  parseDrbdText,
  type ParseOptions,
  type ReadFiles,
} from "./parse.ts";
export { isResourceName } from "./parse_resource.ts";
export { parseResyncAfter } from "./effective.ts";
export { parseNumber, type Unit } from "./numbers.ts";
export { HANDLER_NAMES, type HandlerName } from "./options/resource.ts";
export { NO_EFFECT } from "./options/no_effect.ts";
export type { OptionRow, OptionTable } from "./options/row.ts";
export { TABLES as OPTION_TABLES } from "./options/tables.ts";
export {
  type HostIdentity,
  NotDefinedError,
  type ResolveOptions,
  resolveResource,
  resourcesOn,
} from "./resolve.ts";
export * from "./resource.ts";
export { addressText, printDrbdConf, type PrintOptions } from "./print.ts";
export { editOptions, type EditPlace, type OptionChange } from "./edit.ts";
export { type AdjustStep, adjustSteps } from "./adjust.ts";
export { type ConfFolder, includeReader } from "./include.ts";
