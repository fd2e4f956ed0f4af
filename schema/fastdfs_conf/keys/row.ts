/**
 * What one row of the tables of keys says.
 *
 * @module
 */

import type { ValueKind } from "../values.ts";

/** Which of FastDFS's files. */
export type ConfKind = "tracker" | "storage" | "client" | "http" | "mod";

/** What becomes of a key. */
export type Fate = "mapped" | "unneeded" | "refused";

/** A setting of Kedge that a key fills as it is. */
export type Target =
  /** Name in {@linkcode AgentSettings}. */
  | { readonly agent: string }
  /** Environment variable of the tracker. */
  | { readonly tracker: string };

/** Keys that become settings only together with others; see `settings.ts`. */
export type Role =
  | "address"
  | "port"
  | "storePath"
  | "base"
  | "tracker"
  | "group"
  | "host"
  | "interface"
  | "user"
  | "packing"
  | "tokens";

/** One key. */
export interface KeyRow {
  /** Its name; `#` stands for a number. */
  readonly key: string;
  /** Files that it can stand in. */
  readonly in: readonly ConfKind[];
  /** Section that it belongs to, where there is one. */
  readonly section?: string;
  readonly value: ValueKind;
  readonly fate: Fate;
  /** Settings that get the value. */
  readonly to?: readonly Target[];
  /** FastDFS's words, and ours for them; no other is taken. */
  readonly words?: Readonly<Record<string, string>>;
  /** Unit that Kedge writes behind the number. */
  readonly unit?: string;
  /** Needs others to become settings. */
  readonly role?: Role;
  /** The settings in words, for a role; per file where that differs. */
  readonly becomes?: string | Partial<Readonly<Record<ConfKind, string>>>;
  /** May stand several times. */
  readonly repeats?: boolean;
  /** Refused: values, as read, that ask for nothing. */
  readonly except?: readonly string[];
  /** Mapped: what to know. Not needed: why. Refused: what to do. */
  readonly say: string;
}

/** Rows of keys that are not needed for one and the same reason. */
export function unneeded(
  files: readonly ConfKind[],
  keys: string,
  say: string,
): KeyRow[] {
  return keys.split(/\s+/).filter(Boolean).map((key) => ({
    key,
    in: files,
    value: "text",
    fate: "unneeded",
    say,
  }));
}

/** A row that fills settings of the agent or the tracker as it is. */
export function mapped(
  key: string,
  rest: Omit<KeyRow, "key" | "fate" | "say"> & { readonly say?: string },
): KeyRow {
  return { key, fate: "mapped", say: "", ...rest };
}

/** A row that is refused unless it asks for nothing. */
export function refused(
  key: string,
  rest: Omit<KeyRow, "key" | "fate">,
): KeyRow {
  return { key, fate: "refused", ...rest };
}
