/**
 * FastDFS's wire protocol, as its clients speak it. Pure codecs.
 *
 * @module
 */

export * from "./answers.ts";
export * from "./fields.ts";
export * from "./header.ts";
export * from "./metadata.ts";
export * from "./records.ts";
export * from "./records_v5.ts";
export * from "./requests.ts";
export * from "./statistics.ts";
