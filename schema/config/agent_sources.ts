/**
 * Where the settings of an agent come from, brought together.
 *
 * @module
 */

import { z } from "zod";

/** Where settings come from; each wins over the ones after it. */
export interface AgentSources {
  /** From the command line, by setting name: text, or a list of texts. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Environment variables; only `KEDGE_…` names of settings are read. */
  readonly env: Readonly<Record<string, string>>;
  /** A parsed JSON file, by setting name. */
  readonly file?: unknown;
  /** What FastDFS's configuration says, by setting name. */
  readonly fastdfs?: Readonly<Record<string, unknown>>;
}

/**
 * All settings by name, as they were given.
 *
 * @param names Of the settings that there are.
 * @throws {Error} When the file is no object.
 */
export function gather(
  sources: AgentSources,
  names: readonly string[],
): Record<string, unknown> {
  const file = z.record(z.string(), z.unknown()).safeParse(sources.file ?? {});
  if (!file.success) {
    throw new Error("Cannot use the configuration file: it must be an object");
  }
  const given = {
    ...file.data,
    ...fromEnv(sources.env, names),
    ...sources.flags,
  };
  const hasKeys = "download_keys_file" in given;
  return { ...withoutKeys(sources.fastdfs, hasKeys), ...given };
}

/** A file of keys takes the place of the key in FastDFS's configuration. */
function withoutKeys(
  settings: Readonly<Record<string, unknown>> = {},
  hasFile: boolean,
): Record<string, unknown> {
  const { download_keys: keys, ...rest } = settings;
  return keys === undefined || hasFile
    ? rest
    : { ...rest, download_keys: keys };
}

function fromEnv(
  env: Readonly<Record<string, string>>,
  names: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = env[`KEDGE_${name.toUpperCase()}`];
    if (value !== undefined && value !== "") found[name] = value;
  }
  return found;
}
