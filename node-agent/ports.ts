/**
 * What the parts of the agent need from each other and from the world.
 *
 * The parts (`files/`, `sync/`, `http/`) never import one another: they take
 * these ports, and `agent.ts` alone wires them. Real adapters are in
 * `adapters/`, simulated ones in `tests/sim/`.
 *
 * @module
 */

export type * from "./ports/change_log.ts";
export type * from "./ports/content.ts";
export type * from "./ports/local_files.ts";
export type * from "./ports/peers.ts";
export type * from "./ports/replicator.ts";
export type * from "./ports/world.ts";
