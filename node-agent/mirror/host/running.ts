/**
 * What a host remembers of a resource that runs.
 *
 * @module
 */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import type { MirrorState } from "../decisions/mirror_state.ts";
import type { GreetedOptions } from "./greeted_options.ts";
import type { ResourceProcess } from "./resource_process.ts";

/** How a resource is offered to programs. */
export interface CreateOptions {
  readonly exportAddress: string | undefined;
  readonly deviceNodes: boolean;
}

/** A resource that runs. */
export interface Running {
  /** As it runs now. */
  config: ResourceConfig;
  readonly options: CreateOptions;
  readonly process: ResourceProcess;
  readonly greeted: GreetedOptions;
  readonly socket: string;
  readonly exports: readonly string[];
  readonly usesNodes: boolean;
  /** By volume: where it stood last. */
  readonly states: Map<number, MirrorState>;
  /** The nodes get another size; resolves with what to tell about it. */
  renewing: Promise<string | undefined>;
}
