/**
 * What Kedge says and stores: types, limits, names and refusals shared by the
 * tracker functions and the node agents. Pure: no I/O, no clock, no randomness.
 *
 * @module
 */

export * from "./api.ts";
export * from "./group.ts";
export * from "./keys.ts";
export * from "./limits.ts";
export * from "./node.ts";
export * from "./problems.ts";
export * from "./register.ts";
