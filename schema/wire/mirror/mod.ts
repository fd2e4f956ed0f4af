/**
 * The mirror's frames, their bytes, and the greeting before them.
 *
 * @module
 */

export * from "./codec.ts";
export * from "./control.ts";
export * from "./frames.ts";
export * from "./greeting.ts";
export * from "./header.ts";
export * from "./pulse.ts";
