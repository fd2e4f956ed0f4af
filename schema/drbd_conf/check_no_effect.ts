/**
 * Whether a setting asks for something that Kedge does not do.
 *
 * @module
 */

import type { Setting } from "./ast.ts";
import { OptionValues } from "./option_values.ts";
import { NO_EFFECT } from "./options/no_effect.ts";
import type { OptionTable } from "./options/row.ts";
import { TABLES } from "./options/tables.ts";

/** Why a setting does nothing; undefined: it does, or asks for the default. */
export function whyNoEffect(
  section: string,
  setting: Setting,
): string | undefined {
  const known = Object.keys(TABLES).find((name) => name === section);
  if (known === undefined) return undefined;
  const name = known as keyof typeof TABLES;
  const why = NO_EFFECT[name]?.[setting.name];
  const isDefault = valueOf(TABLES[name], setting.name, [setting]) ===
    valueOf(TABLES[name], setting.name, []);
  return isDefault ? undefined : why;
}

/** What an option comes to, for comparisons. */
function valueOf(
  table: OptionTable,
  name: string,
  settings: readonly Setting[],
): string {
  const values = new OptionValues(table, [settings]);
  const row = table.get(name);
  switch (row?.kind) {
    case "number":
      return row.symbols.find((word) => word === values.text(name)) ??
        (values.has(name) || row.fallbackSymbol === undefined
          ? String(values.number(name))
          : row.fallbackSymbol);
    case "boolean":
      return String(values.boolean(name));
    case "choice":
      return values.text(name) ?? row.fallback;
    case "text":
      return values.text(name) ?? (name === "transport" ? "tcp" : "");
    default:
      return values.has(name) ? "said" : "";
  }
}
