/**
 * What simulated clients ask of an agent, and what they are told.
 *
 * @module
 */

import type { CommitResult } from "./sim_agent.ts";
import type { Content } from "./sim_store.ts";

/** The answer to a read. */
export type ReadResult =
  | { readonly kind: "content"; readonly content: Content }
  | { readonly kind: "not-found"; readonly isDeleted: boolean }
  | { readonly kind: "unavailable" };

/** A change that a client wants. */
export interface ChangeRequest {
  readonly kind: "upload" | "append" | "delete";
  /** File to change; a new one for uploads unless the key is known. */
  readonly id: string;
  /** Unique content. */
  readonly token: number;
  readonly level: "A" | "B" | "C";
  readonly large: boolean;
  readonly key: string | undefined;
  readonly then: (result: CommitResult & { readonly id?: string }) => void;
}

/** Read lease in the simulator, in ms. */
export const LEASE_MS = 1500;
