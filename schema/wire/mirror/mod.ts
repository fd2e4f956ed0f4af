/**
 * The mirror's frames and their bodies.
 *
 * @module
 */

export * from "./control.ts";
export * from "./frames.ts";
