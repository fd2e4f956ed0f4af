/**
 * Stands in for `jsr:@std/streams` with the same code from the npm registry, so
 * that a build needs no JSR. Types are ours: the npm package ships none.
 *
 * @module
 */

// @ts-types="./streams.d.ts"
export * from "npm:deno-std@1.4.0/streams/mod.js";
